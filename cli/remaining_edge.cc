#include "cli/remaining_edge.h"

#include <algorithm>
#include <system_error>

#include "cli/systemd.h"
#include "cli/units.h"
#include "cli/user_places.h"
#include "common/base/fs.h"
#include "common/base/memory_folder.h"

namespace hm::cli {

namespace fs = std::filesystem;

fs::path remaining_edge_home(const Context& context) {
  return runtime_folder(context.environment) / "halton-meter" / "edge-that-stays";
}

fs::path remaining_edge_unit(const Context& context) {
  return runtime_folder(context.environment) / "systemd" / "user" / kEdgeUnit;
}

std::string remaining_unit_text(std::string_view unit_text, const fs::path& home, uint16_t port) {
  std::string out;
  while (!unit_text.empty()) {
    const size_t end = std::min(unit_text.find('\n'), unit_text.size());
    out += unit_text.substr(0, end);
    if (unit_text.starts_with("ExecStart="))
      out += " --home " + unit_argument(home.native()) + " --edge-port " + std::to_string(port);
    out += '\n';
    unit_text.remove_prefix(std::min(end + 1, unit_text.size()));
  }
  return out;
}

void keep_remaining_edge(const Context& context, uint16_t port) {
  const auto unit = read_file(unit_file(context, kEdgeUnit), 64 * 1024);
  const fs::path home = remaining_edge_home(context);
  const fs::path file = remaining_edge_unit(context);
  if (!unit || port == 0 || !ensure_dir(home) || !ensure_dir(file.parent_path())) return;
  // The way to the providers: an upstream proxy, split DNS. It may hold a password.
  if (const auto config = read_file(context.home.config()))
    static_cast<void>(replace_file(home / context.home.config().filename(), *config, 0600));
  static_cast<void>(replace_file(file, remaining_unit_text(*unit, home, port), 0644));
}

void remove_remaining_edge(const Context& context) {
  if (runtime_folder(context.environment).empty()) return;
  std::error_code ignored;
  const fs::path unit = remaining_edge_unit(context);
  fs::remove(unit, ignored);
  fs::remove(unit.parent_path(), ignored);  // when it is empty
  const fs::path home = remaining_edge_home(context);
  if (!fs::exists(home, ignored)) return;
  remove_memory_folders(home, true);  // by the home's real path: first
  fs::remove_all(home, ignored);
}

}  // namespace hm::cli
