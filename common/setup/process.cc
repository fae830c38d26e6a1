#include "common/setup/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "common/base/log.h"
#include "common/base/port_holder.h"
#include "common/config/last_good.h"

namespace hm::setup {
namespace {

std::optional<int> parse_number(std::string_view text, int most) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0 ||
      value > most)
    return std::nullopt;
  return value;
}

std::optional<uint16_t>* port_flag(ProcessFlags& flags, std::string_view name) {
  if (name == "--edge-port") return &flags.edge_port;
  if (name == "--internal-port") return &flags.internal_port;
  if (name == "--api-port") return &flags.api_port;
  return nullptr;
}

// Empty text: taken.
std::string take_value(const std::string& flag, const std::string& value,
                       std::optional<uint16_t>* port, ProcessFlags& flags) {
  if (flag == "--home") {
    flags.home = value;
  } else if (flag == "--run-dir") {
    flags.run_dir = value;
  } else {
    const auto number = parse_number(value, port != nullptr ? 65535 : 1 << 20);
    if (!number) return flag + " wants a number, not " + value;
    if (port != nullptr) {
      *port = static_cast<uint16_t>(*number);
    } else {
      flags.lifeline = *number;
    }
  }
  return {};
}

}  // namespace

std::string parse_flags(int argc, const char* const* argv,
                        const std::vector<std::string_view>& allowed, ProcessFlags& flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") {
      flags.help = true;
      return {};
    }
    if (flag == "--version") {
      flags.version = true;
      return {};
    }
    if (flag == "--supervised") {
      flags.supervised = true;
      continue;
    }
    std::optional<uint16_t>* const port =
        std::ranges::find(allowed, flag) != allowed.end() ? port_flag(flags, flag) : nullptr;
    const bool known = flag == "--home" || flag == "--run-dir" || flag == "--lifeline-fd";
    if (!known && port == nullptr) return "unknown flag " + flag;
    if (i + 1 == argc) return flag + " wants a value";
    if (std::string wrong = take_value(flag, argv[++i], port, flags); !wrong.empty()) return wrong;
  }
  return {};
}

Home home_of(const ProcessFlags& flags) {
  return flags.home ? Home(*flags.home) : Home::from_environment();
}

RunPlace place_of(const ProcessFlags& flags, const Home& home) {
  return flags.run_dir ? RunPlace::in_folder(*flags.run_dir) : RunPlace::usual(home);
}

config::Loaded config_of(const Home& home) {
  config::Loaded loaded = config::load_in_force(home.config());
  if (loaded.faults.empty()) config::remember(home.config());
  return loaded;
}

net::DialOptions dial_options(const config::Config& config, int64_t timeout_ms) {
  net::DialOptions options;
  update_dial_options(options, config, timeout_ms);
  return options;
}

void update_dial_options(net::DialOptions& options, const config::Config& config,
                         int64_t timeout_ms) {
  options.connect_to = config.upstream.connect_to;
  options.no_proxy = config.upstream.no_proxy;
  options.timeout_ms = timeout_ms;
  options.proxy.reset();
  config::ProxyAddress address;
  if (config::parse_proxy(config.upstream.proxy, address))
    options.proxy = net::UpstreamProxy{address.host, address.port, address.basic_auth};
}

void set_log(const config::Config& config) {
  log::Level level = log::Level::info;
  if (log::parse_level(config.log.level, level)) log::set_level(level);
  log::set_max_file_bytes(static_cast<uint64_t>(config.log.max_bytes));
}

void start_log(const config::Config& config, const std::filesystem::path& file) {
  // A limit of file sizes (ulimit -f) is an error to be handled like a full disk, not an end.
  std::signal(SIGXFSZ, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for it
  set_log(config);
  log::Options options;
  options.file = file;
  options.max_file_bytes = static_cast<uint64_t>(config.log.max_bytes);
  log::start(options);
}

size_t raise_descriptor_limit(size_t wanted) {
  constexpr rlim_t kKept = 64;
  constexpr rlim_t kEach = 2;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t room = limit.rlim_cur > kKept ? (limit.rlim_cur - kKept) / kEach : 0;
  if (room >= wanted) return wanted;
  const size_t possible = std::max<size_t>(room, 4);
  log::warn("process.few_descriptors")
      .with("limit", static_cast<int64_t>(limit.rlim_cur))
      .with("wanted_connections", wanted)
      .with("connections", possible)
      .with("text", "raise LimitNOFILE= of the unit, or the hard limit (ulimit -Hn)");
  return possible;
}

void warn_port_taken(const char* event, uint16_t wanted, uint16_t port, std::string_view then) {
  if (wanted == 0 || port == wanted) return;
  log::warn(event)
      .with("wanted", wanted)
      .with("port", port)
      .with("text", describe_port_holder(wanted) + " holds " + std::string(then));
}

void publish_ports(const char* failure, const RunPlace& place, const config::EffectivePorts& mine,
                   int64_t wall_us) {
  if (const auto written = config::write_ports(place.ports_file, mine, wall_us); !written)
    log::warn(failure).with("file", place.ports_file.string()).with(written.error());
}

void retract_edge(net::Work& work, const RunPlace& place, int64_t wall_us) {
  work.start<bool>(
      [file = place.ports_file, wall_us] {
        config::forget_edge(file, ::getpid(), wall_us);
        return true;
      },
      [](bool) {});
}

}  // namespace hm::setup
