// Files of the home folder, written so that a reader never sees half of one. All calls block: use
// them before a loop runs, on the pool, or in threads that may wait.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hm {

// Where everything lives: $HALTON_METER_HOME, else ~/.halton-meter. Paths only; nothing is created.
class Home {
 public:
  explicit Home(std::filesystem::path root) : root_(std::move(root)) {}
  [[nodiscard]] static Home from_environment();

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path config() const { return root_ / "config.toml"; }
  [[nodiscard]] std::filesystem::path rates() const { return root_ / "rates.toml"; }
  [[nodiscard]] std::filesystem::path key_print_secret() const {
    return root_ / "key-print.secret";
  }
  [[nodiscard]] std::filesystem::path ports() const { return root_ / "effective-ports.json"; }
  [[nodiscard]] std::filesystem::path database() const { return root_ / "db.sqlite"; }
  [[nodiscard]] std::filesystem::path ca_dir() const { return root_ / "ca"; }
  [[nodiscard]] std::filesystem::path ca_cert() const { return ca_dir() / "ca-cert.pem"; }
  [[nodiscard]] std::filesystem::path ca_key() const { return ca_dir() / "ca-key.pem"; }
  [[nodiscard]] std::filesystem::path python_dir() const { return root_ / "python"; }
  [[nodiscard]] std::filesystem::path bundle() const {
    return python_dir() / "certifi" / "cacert.pem";
  }
  [[nodiscard]] std::filesystem::path refusals() const { return root_ / "ca-refusals"; }
  [[nodiscard]] std::filesystem::path spool_dir() const { return root_ / "spool"; }
  [[nodiscard]] std::filesystem::path install_mode() const { return root_ / "install-mode"; }
  [[nodiscard]] std::filesystem::path apps_managed() const { return root_ / "apps-managed"; }
  [[nodiscard]] std::filesystem::path env_sh() const { return root_ / "env.sh"; }
  [[nodiscard]] std::filesystem::path env_fish() const { return root_ / "env.fish"; }
  [[nodiscard]] std::filesystem::path edge_log() const { return root_ / "edge.err.log"; }
  [[nodiscard]] std::filesystem::path daemon_log() const { return root_ / "daemon.err.log"; }

 private:
  std::filesystem::path root_;
};

// Control sockets and the ports actually bound. The usual pair keeps its sockets in
// $XDG_RUNTIME_DIR/halton-meter/ (or that of /run/user/UID, else HOME/run/) and its ports in the
// home folder; a pair that `run` starts for one command keeps both in a folder of its own.
struct RunPlace {
  std::filesystem::path edge_socket;    // edge.sock
  std::filesystem::path daemon_socket;  // daemon.sock
  std::filesystem::path ports_file;     // effective-ports.json

  [[nodiscard]] static RunPlace usual(const Home& home);
  [[nodiscard]] static RunPlace in_folder(const std::filesystem::path& folder);
};

using Folders = std::vector<std::filesystem::path>;

// $XDG_RUNTIME_DIR, else /run/user/UID when that is ours; else empty.
[[nodiscard]] std::string session_runtime_folder();

// Creates the folder and its parents; the folder itself gets `mode` when it is new.
[[nodiscard]] Result<void> ensure_dir(const std::filesystem::path& path, mode_t mode = 0700);

// Whole file, at most max_bytes (too_large beyond).
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            size_t max_bytes = 16 * 1024 * 1024);

// Temporary file beside it, fsync, rename: the old content or the new, never a part.
[[nodiscard]] Result<void> replace_file(const std::filesystem::path& path, std::string_view content,
                                        mode_t mode = 0600);

}  // namespace hm
