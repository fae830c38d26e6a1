// What `uninstall` takes away, in the order that breaks nobody: environment, interceptor, edge,
// files. Blocks.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/carrying.h"
#include "cli/context.h"
#include "cli/file_changes.h"
#include "cli/pair_service.h"

namespace hm::cli {

class Removal {
 public:
  explicit Removal(Context& context) : context_(context), service_(context) {}

  // Programs for which the edge stays in pass-through; they were listed. None: it was ended.
  [[nodiscard]] std::vector<CarryingProcess> run(bool now);
  // Only what is ours by name. While the edge stays, what its clients need stays with it: bundle,
  // CA and the edge's own files.
  void purge(bool data_too, bool edge_stays);
  // What stays in the home now and changes only when somebody uses it again, as one word.
  [[nodiscard]] std::string signs_of_use(bool data_too) const;
  // Blocks until none of `listed` and no other program of this user carries the edge's address,
  // then ends it. False: installed or started again meanwhile, and nothing was done.
  [[nodiscard]] bool stop_edge_when_unused(const std::vector<CarryingProcess>& listed);
  // What purge() left with the edge, unless the home has other signs of use by now than `left`.
  // Never a database: one that is there has calls of after the uninstallation.
  void purge_rest(bool data_too, const std::string& left);

  [[nodiscard]] const std::vector<std::string>& resisted() const { return resisted_; }

 private:
  void remove_from_session();
  void end_interceptor();
  void end_edge();
  void keep_edge_for_now();
  void remove_units();
  void remove_folders(const std::vector<std::filesystem::path>& folders);
  void remove_ours(const std::function<bool(std::string_view name)>& goes);
  void remove_home(bool data_too);
  [[nodiscard]] bool started_again() const;
  [[nodiscard]] std::vector<CarryingProcess> carriers() const;
  void add_shells(std::vector<CarryingProcess>& found) const;

  Context& context_;
  PairService service_;
  FileChanges files_;
  std::vector<std::string> resisted_;
};

}  // namespace hm::cli
