// The user's systemd, through systemctl. Blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/subprocess.h"

namespace hm::cli {

inline constexpr const char* kEdgeUnit = "halton-meter-edge.service";
inline constexpr const char* kDaemonUnit = "halton-meter.service";

class Systemd {
 public:
  explicit Systemd(const Context& context);

  enum class Reach : unsigned char {
    usable,
    no_systemctl,    // no systemd here
    no_runtime_dir,  // nobody has logged in for this user, or lingering is off
    no_bus,          // the folder is there, no manager answers in it
  };
  [[nodiscard]] Reach reach() const { return reach_; }
  [[nodiscard]] bool usable() const { return reach_ == Reach::usable; }
  [[nodiscard]] const std::string& finding() const { return finding_; }  // systemctl's own words

  // `systemctl --user WORDS`.
  [[nodiscard]] Finished call(const std::vector<std::string>& words,
                              int64_t limit_ms = 60'000) const;
  [[nodiscard]] std::string property(std::string_view unit, std::string_view name) const;
  // active, activating, inactive, failed, ... ; empty when it cannot be asked
  [[nodiscard]] std::string state(std::string_view unit) const {
    return property(unit, "ActiveState");
  }
  [[nodiscard]] const Environment& environment() const { return environment_; }

 private:
  Environment environment_;  // with XDG_RUNTIME_DIR, also where the shell lacks it
  Reach reach_ = Reach::usable;
  std::string finding_;
};

// What to tell a user whose user manager cannot be reached: finding and remedies, lines ready to
// print.
[[nodiscard]] std::string unreachable_text(const Systemd& systemd, const Context& context);

// Services survive the last logout (loginctl enable-linger).
[[nodiscard]] bool lingers(const Context& context);

}  // namespace hm::cli
