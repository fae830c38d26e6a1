// A disk that takes nothing more, for this process.
#pragma once
#include <sys/resource.h>

#include <csignal>

namespace hm::test {

// As long as it lives no file of this process can be written behind byte `limit`: writes fail, as
// on a full disk. SIGXFSZ stays ignored, as in the programs. One at a time.
class FullDisk {
 public:
  explicit FullDisk(rlim_t limit = 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    limited_ = ::getrlimit(RLIMIT_FSIZE, &before_) == 0;
    const rlimit tight{limit, before_.rlim_max};
    limited_ = limited_ && ::setrlimit(RLIMIT_FSIZE, &tight) == 0;
  }
  ~FullDisk() {
    if (limited_) ::setrlimit(RLIMIT_FSIZE, &before_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  FullDisk(FullDisk&&) = delete;
  FullDisk& operator=(FullDisk&&) = delete;

  [[nodiscard]] bool limited() const { return limited_; }

 private:
  rlimit before_{};
  bool limited_ = false;
};

}  // namespace hm::test
