// What `uninstall` takes away, in the order that breaks nobody: environment, interceptor, edge,
// files. Blocks.
#pragma once

#include <string>
#include <vector>

#include "cli/carrying.h"
#include "cli/context.h"
#include "cli/file_changes.h"
#include "cli/pair_service.h"

namespace hm::cli {

class Removal {
 public:
  explicit Removal(Context& context) : context_(context), service_(context) {}

  // True: the edge stays in pass-through, for programs that were listed.
  [[nodiscard]] bool run(bool now);
  void purge(bool data_too);
  // Blocks until no program of this user carries the edge's address, then ends it. Exit code.
  [[nodiscard]] int stop_edge_when_unused();

  [[nodiscard]] const std::vector<std::string>& resisted() const { return resisted_; }

 private:
  void remove_from_session();
  void end_interceptor();
  void end_edge();
  void keep_edge_for_now();
  void remove_units();
  void remove_folders(const std::vector<std::filesystem::path>& folders);
  [[nodiscard]] std::vector<CarryingProcess> carriers() const;
  [[nodiscard]] std::filesystem::path runtime_unit() const;

  Context& context_;
  PairService service_;
  FileChanges files_;
  std::vector<std::string> resisted_;
};

}  // namespace hm::cli
