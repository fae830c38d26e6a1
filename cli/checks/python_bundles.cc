// Other meters of this kind write their CA into the certifi bundle of the Python they live in, and
// leave it there. We never do: what is found there is another tool's.
#include <array>
#include <filesystem>
#include <set>

#include "cli/checks/check.h"
#include "cli/text.h"
#include "cli/user_places.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kMarks = {"mitmproxy", "halton-meter"};

// FOLDER/python3.11/site-packages/certifi/cacert.pem and the same in dist-packages.
void look_below(const fs::path& folder, std::set<fs::path>& bundles) {
  std::error_code error;
  const auto try_one = [&](const fs::path& python) {
    for (const char* packages : {"site-packages", "dist-packages"}) {
      std::error_code missing;
      const fs::path real = fs::canonical(python / packages / "certifi" / "cacert.pem", missing);
      if (!missing) bundles.insert(real);
    }
  };
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with("python")) try_one(at->path());
}

Finding run(const Patient& patient) {
  const Environment& environment = patient.context.environment;
  std::set<fs::path> bundles;
  for (const char* folder : {"/usr/lib", "/usr/local/lib"}) look_below(folder, bundles);
  look_below(user_home(environment) / ".local" / "lib", bundles);
  for (const char* place : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const auto prefix = look_up(environment, place); !prefix.empty())
      look_below(fs::path(prefix) / "lib", bundles);
  std::error_code ignored;
  // Some distributions link certifi's bundle to the system's, which has a check of its own.
  bundles.erase(fs::canonical("/etc/ssl/certs/ca-certificates.crt", ignored));
  for (const fs::path& bundle : bundles) {
    const auto text = read_file(bundle);
    if (!text) continue;
    for (const std::string_view mark : kMarks)
      if (text->find(mark) != std::string::npos)
        return {Severity::inconsistent,
                "another tool has left its CA in " + printable(bundle.string()) +
                    ": programs of this Python trust it, and refuse ours",
                "python3 -m pip install --force-reinstall certifi, with the Python of that folder"};
  }
  return bundles.empty() ? skipped("no certifi bundle is installed")
                         : fine(std::to_string(bundles.size()) + " looked at, as they came");
}

}  // namespace

const Check kPythonBundlesCheck = {"python-bundles", "Python's bundles", run};

}  // namespace hm::cli
