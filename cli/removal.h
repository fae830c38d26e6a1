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

  // Programs for which the edge stays in pass-through; they were listed. None: it was ended.
  [[nodiscard]] std::vector<CarryingProcess> run(bool now);
  // Only what is ours by name. While the edge stays, what its clients need stays with it: bundle,
  // CA and the edge's own files.
  void purge(bool data_too, bool edge_stays);
  // Blocks until none of `listed` and no other program of this user carries the edge's address,
  // then ends it. False: installed again meanwhile, and nothing was done.
  [[nodiscard]] bool stop_edge_when_unused(const std::vector<CarryingProcess>& listed);

  [[nodiscard]] const std::vector<std::string>& resisted() const { return resisted_; }

 private:
  void remove_from_session();
  void end_interceptor();
  void end_edge();
  void keep_edge_for_now();
  void remove_units();
  void remove_folders(const std::vector<std::filesystem::path>& folders);
  [[nodiscard]] std::vector<CarryingProcess> carriers() const;
  void add_shells(std::vector<CarryingProcess>& found) const;

  Context& context_;
  PairService service_;
  FileChanges files_;
  std::vector<std::string> resisted_;
};

}  // namespace hm::cli
