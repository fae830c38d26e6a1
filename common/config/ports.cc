#include "common/config/ports.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <limits>

#include "common/base/clock.h"
#include "common/base/fleeting_file.h"
#include "common/base/fs.h"

namespace hm::config {
namespace {

// The number behind "key":. A few integers do not need a JSON library in the edge.
std::optional<int32_t> find_number(std::string_view json, std::string_view key, int32_t most) {
  const std::string quoted = '"' + std::string(key) + '"';
  size_t at = json.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  at = json.find_first_not_of(" \t\r\n:", at + quoted.size());
  if (at == std::string_view::npos) return std::nullopt;
  int32_t value = 0;
  const auto parsed = std::from_chars(json.data() + at, json.data() + json.size(), value);
  if (parsed.ec != std::errc() || value <= 0 || value > most) return std::nullopt;
  return value;
}

std::optional<uint16_t> find_port(std::string_view json, std::string_view key) {
  const auto port = find_number(json, key, 65535);
  return port ? std::optional(static_cast<uint16_t>(*port)) : std::nullopt;
}

class Lock {
 public:
  explicit Lock(const std::filesystem::path& path)
      : fd_(::open((path.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0) ::flock(fd_, LOCK_EX);
  }
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int fd_;
};

}  // namespace

EffectivePorts parse_ports(std::string_view json) {
  return {find_port(json, "edge_port"), find_port(json, "internal_port"),
          find_port(json, "api_port"),
          find_number(json, "edge_pid", std::numeric_limits<int32_t>::max())};
}

std::string ports_text(const EffectivePorts& ports, int64_t pid, int64_t now_us) {
  std::string text = "{\n";
  const auto add = [&text](std::string_view key, const std::optional<uint16_t>& port) {
    if (port) text += "  \"" + std::string(key) + "\": " + std::to_string(*port) + ",\n";
  };
  add("edge_port", ports.edge_port);
  if (ports.edge_pid) text += "  \"edge_pid\": " + std::to_string(*ports.edge_pid) + ",\n";
  add("internal_port", ports.internal_port);
  add("api_port", ports.api_port);
  text += "  \"pid\": " + std::to_string(pid) + ",\n";
  text += "  \"written_at\": \"" + iso8601_utc(now_us) + "\"\n}\n";
  return text;
}

Result<EffectivePorts> read_ports(const std::filesystem::path& path) {
  const auto content = read_file(path, 64 * 1024);
  if (!content) return std::unexpected(content.error());
  const EffectivePorts ports = parse_ports(*content);
  if (!ports.edge_port && !ports.internal_port && !ports.api_port)
    return fail(Code::malformed, "ports.read");
  return ports;
}

Result<void> write_ports(const std::filesystem::path& path, const EffectivePorts& mine,
                         int64_t now_us) {
  if (auto made = ensure_dir(path.parent_path()); !made) return made;
  const Lock lock(path);
  EffectivePorts ports = read_ports(path).value_or(EffectivePorts{});
  if (mine.edge_port) ports.edge_port = mine.edge_port;
  if (mine.edge_pid) ports.edge_pid = mine.edge_pid;
  if (mine.internal_port) ports.internal_port = mine.internal_port;
  if (mine.api_port) ports.api_port = mine.api_port;
  return replace_fleeting_file(path, ports_text(ports, ::getpid(), now_us), 0600);
}

void forget_edge(const std::filesystem::path& path, int32_t pid, int64_t now_us) {
  const Lock lock(path);
  auto ports = read_ports(path);
  if (!ports || ports->edge_pid != pid) return;
  ports->edge_pid.reset();
  static_cast<void>(replace_fleeting_file(path, ports_text(*ports, pid, now_us), 0600));
}

}  // namespace hm::config
