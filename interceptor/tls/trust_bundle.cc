#include "interceptor/tls/trust_bundle.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>

#include "common/base/fs.h"
#include "interceptor/tls/contexts.h"

namespace hm::tls {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCore =
    R"py("""Where the bundle is, and what is in it."""
import os as _os


def where():
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "cacert.pem")


def contents():
    with open(where(), encoding="utf-8") as bundle:
        return bundle.read()
)py";

// python -m certifi [-c]
constexpr std::string_view kMain =
    R"py(import argparse

from certifi import contents, where

parser = argparse.ArgumentParser()
parser.add_argument("-c", "--contents", action="store_true")
print(contents() if parser.parse_args().contents else where())
)py";

constexpr std::string_view kPackage =
    R"py("""Root certificates of this machine and the local CA of Halton Meter.

Stands in for certifi while a program runs under `halton-meter run` or with its environment.
"""
from .core import contents, where

__all__ = ["contents", "where"]
__version__ = "2099.1.1"
)py";

// PEM text with line ends mended, and without the mark (the roots may come from an older bundle).
void append_roots(std::string& out, std::string_view pem) {
  while (!pem.empty()) {
    const size_t end = pem.find('\n');
    std::string_view line = pem.substr(0, end);
    pem.remove_prefix(end == std::string_view::npos ? pem.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find(kBundleMark) != std::string_view::npos) continue;
    out.append(line);
    out.push_back('\n');
  }
}

std::string marked(const std::string& authority_pem) {
  std::string out = "\n# ";
  out.append(kBundleMark);
  out.push_back('\n');
  out.append(authority_pem);
  if (!out.ends_with('\n')) out.push_back('\n');
  return out;
}

bool is_older(const fs::path& file, const fs::path& than) {
  std::error_code ignored;
  return fs::last_write_time(file, ignored) < fs::last_write_time(than, ignored);
}

Result<bool> replace_if_different(const fs::path& path, std::string_view content) {
  if (const auto there = read_file(path, 64 * 1024 * 1024); there && *there == content)
    return false;
  if (auto wrote = replace_file(path, content, 0644); !wrote) return std::unexpected(wrote.error());
  return true;
}

}  // namespace

Result<bool> refresh_trust_bundle(const TrustBundleSources& sources, const fs::path& bundle) {
  const fs::path system =
      sources.system_roots.empty() ? system_root_bundle() : sources.system_roots;
  if (system.empty()) return fail(Code::not_found, "trust_bundle.system_roots");
  const auto roots = read_file(system);
  if (!roots) return fail(Code::not_found, "trust_bundle.system_roots", roots.error().detail);

  std::string content;
  append_roots(content, *roots);
  for (const fs::path& extra : sources.extra_roots) {
    const auto more = read_file(extra);
    if (!more) return std::unexpected(more.error());
    content.push_back('\n');
    append_roots(content, *more);
  }
  content += marked(sources.authority_pem);

  if (auto there = ensure_dir(bundle.parent_path(), 0755); !there)
    return std::unexpected(there.error());
  bool changed = false;
  for (const auto& [name, text] : {std::pair("core.py", kCore), std::pair("__main__.py", kMain),
                                   std::pair("__init__.py", kPackage)}) {
    const auto package = replace_if_different(bundle.parent_path() / name, text);
    if (!package) return package;
    changed = changed || *package;
  }
  const auto certificates = replace_if_different(bundle, content);
  if (!certificates) return certificates;
  // Its time says what it was made from, also when newer roots are the same ones.
  if (!*certificates && is_older(bundle, system))
    static_cast<void>(::utimensat(AT_FDCWD, bundle.c_str(), nullptr, 0));
  return changed || *certificates;
}

bool trust_bundle_holds(const fs::path& bundle, const std::string& authority_pem) {
  const auto content = read_file(bundle, 64 * 1024 * 1024);
  // Some tools append a CA of their own to whatever certifi names; that takes ours from nobody.
  if (!content || content->find(marked(authority_pem)) == std::string::npos) return false;
  return content->find(kBundleMark) == content->rfind(kBundleMark);
}

}  // namespace hm::tls
