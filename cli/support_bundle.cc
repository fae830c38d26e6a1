#include "cli/support_bundle.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "cli/log_lines.h"
#include "cli/redact.h"
#include "cli/status.h"
#include "cli/subprocess.h"
#include "cli/systemd.h"
#include "cli/units.h"
#include "cli/user_places.h"

namespace hm::cli {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kLogLines = 2000;
constexpr size_t kMaxFile = 256 * 1024;

std::string header_of(const BundleFile& file, int64_t wall_us) {
  std::string block(kBlock, '\0');
  const auto put = [&](size_t at, size_t room, std::string_view text) {
    std::memcpy(block.data() + at, text.data(), std::min(text.size(), room));
  };
  const auto octal = [&](size_t at, size_t room, unsigned long long value) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(room - 1), value);
    put(at, room - 1, text.data());
  };
  put(0, 100, file.name);
  octal(100, 8, 0600);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, file.content.size());
  octal(136, 12, static_cast<unsigned long long>(wall_us / 1'000'000));
  put(148, 8, "        ");  // the sum is made with blanks here
  put(156, 1, "0");
  put(257, 8, std::string_view("ustar\00000", 8));
  unsigned long long sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  octal(148, 7, sum);
  block[154] = '\0';
  block[155] = ' ';
  return block;
}

std::string last_lines(const std::filesystem::path& log) {
  std::string text;
  for (const std::string& line : last_log_lines(log, kLogLines)) text += line + "\n";
  return text.size() > kMaxFile ? text.substr(text.size() - kMaxFile) : text;
}

std::string system_text(const Context& context) {
  std::string text = "halton-meter " + context.version + "\n";
  utsname name{};
  if (::uname(&name) == 0)
    text += std::string(name.sysname) + " " + name.release + " " + name.machine + "\n";
  for (const char* file : {"/etc/os-release", "/proc/meminfo", "/proc/loadavg"})
    if (const auto content = read_file(file, 64 * 1024))
      text += "--- " + std::string(file) + "\n" + content->substr(0, 1000) + "\n";
  text += "--- variables that are set here\n";
  for (const char* variable :
       {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
        "CODEX_CA_CERTIFICATE", "NODE_OPTIONS", "NODE_TLS_REJECT_UNAUTHORIZED", "XDG_RUNTIME_DIR",
        "HALTON_METER_HOME", "HALTON_METER_ENV_PORT", "HALTON_PROJECT", "PYTHONPATH", "SHELL"})
    if (const auto value = look_up(context.environment, variable); !value.empty())
      text += std::string(variable) + "=" + std::string(value) + "\n";
  return text;
}

}  // namespace

std::string tar_archive(const std::vector<BundleFile>& files, int64_t wall_us) {
  std::string out;
  for (const BundleFile& file : files) {
    out += header_of(file, wall_us) + file.content;
    out.append((kBlock - file.content.size() % kBlock) % kBlock, '\0');
  }
  return out.append(2 * kBlock, '\0');
}

std::expected<std::filesystem::path, std::string> write_support_bundle(
    const Context& context, const std::filesystem::path& folder, std::vector<BundleFile> files) {
  const StatusFacts facts = gather_status(context);
  files.push_back({"status.json", status_json(facts, judge_status(facts), context.version)});
  files.push_back({"system.txt", system_text(context)});
  const Home& home = context.home;
  for (const auto& [name, path] :
       {std::pair("config.toml", home.config()), std::pair("rates.toml", home.rates()),
        std::pair("effective-ports.json", home.ports()),
        std::pair("halton-meter.service", unit_file(context, kDaemonUnit)),
        std::pair("halton-meter-edge.service", unit_file(context, kEdgeUnit))})
    if (const auto content = read_file(path, kMaxFile)) files.push_back({name, *content});
  for (const auto& [name, log] :
       {std::pair("daemon.log", home.daemon_log()), std::pair("edge.log", home.edge_log()),
        std::pair("supervisor.log", home.root() / "supervisor.err.log")})
    if (std::string text = last_lines(log); !text.empty()) files.push_back({name, std::move(text)});
  Environment plain = context.environment;
  if (const auto runtime = runtime_folder(context.environment); !runtime.empty())
    plain["XDG_RUNTIME_DIR"] = runtime.string();
  const std::vector<std::pair<const char*, std::vector<std::string>>> questions = {
      {"units.txt",
       {"systemctl", "--user", "--no-pager", "--full", "status", kEdgeUnit, kDaemonUnit}},
      {"journal.txt",
       {"journalctl", "--user", "--no-pager", "--since=-30min", "-n", "1000", "-u", kEdgeUnit, "-u",
        kDaemonUnit}}};
  for (const auto& [name, words] : questions) {
    const Finished told = run_captured(words, plain, 10'000);
    if (std::string text = told.out + told.err; !text.empty())
      files.push_back({name, std::move(text)});
  }
  const RedactWords words{user_home(context.environment).string(), user_name(context.environment)};
  for (BundleFile& file : files) file.content = redact(file.content, words);

  std::string time = iso8601_utc(context.clock->wall_us()).substr(0, 19);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  const auto path = folder / ("halton-meter-doctor-" + time + ".tar");
  if (const auto written = replace_file(path, tar_archive(files, context.clock->wall_us()));
      !written)
    return std::unexpected(path.string() + " cannot be written (" + describe(written.error()) +
                           ")");
  return path;
}

}  // namespace hm::cli
