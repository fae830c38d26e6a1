// A ledger as a file of fixed size that is mapped into memory: what is entered survives the
// process, kill -9 included, and costs no system call. The edge enters calls that went past the
// meter, the interceptor the calls that it has under way. One file per process,
// "edge-ledger.PID.HEX" or "daemon-ledger.PID.HEX" in the home folder, locked (flock) while it
// lives: whoever gets the lock has found the file of a dead one.
//
// Its blocks are reserved when it is made, so that a full disk cannot take them. Should a page be
// lost all the same (somebody cut the file), plain memory takes its place: the process lives, those
// entries are gone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/base/fs.h"
#include "common/base/result.h"
#include "common/wire/miss.h"

namespace hm::wire {

// One entry, in place. `state` is stored last, so that a process may die between any two stores.
struct MissSlot {
  enum State : uint32_t {
    free = 0,
    open = 0x4e45504f,  // "OPEN": the call is under way
    done = 0x454e4f44,  // "DONE"
  };
  uint32_t state;
  uint32_t check;  // of what never changes: from `origin` to `call_id`
  uint64_t origin;
  int64_t number;
  int64_t at_us;
  int64_t client_port;
  char host[256];
  char reason[40];
  char call_id[40];
  // These change.
  int64_t count;
  int64_t bytes_up;
  int64_t bytes_down;
  int64_t duration_us;
  uint32_t offered;  // an interceptor has seen it: it keeps its name and is not summed any more
  uint32_t cut;      // its process died before the call was over
  char unused[96];

  void fill(const Miss& miss, State as);
  void set_numbers(const Miss& miss);
  void set_state(State to) { std::atomic_ref(state).store(to, std::memory_order_release); }
  [[nodiscard]] Miss miss() const;  // without a sequence
  [[nodiscard]] std::string call() const;
  [[nodiscard]] bool whole() const;
};
static_assert(sizeof(MissSlot) == 512);

class MissFile {
 public:
  static constexpr size_t kSlots = 4096;
  enum class Kind : uint8_t { edge, daemon };

  // Plain memory, lost with the process: when no folder can be written.
  MissFile();
  // In the first folder that has room. Blocks shortly, as the other two do.
  [[nodiscard]] static Result<MissFile> make(const Folders& folders, Kind kind);
  // The file of a dead edge, entries and all, else a new one.
  [[nodiscard]] static Result<MissFile> take_or_make(const Folders& folders);
  // Files in the folders whose process is dead, locked. Files that are none are renamed *.bad.
  [[nodiscard]] static std::vector<MissFile> take_dead(const Folders& folders, Kind kind,
                                                       size_t most);
  ~MissFile();
  MissFile(MissFile&& other) noexcept;
  MissFile& operator=(MissFile&& other) noexcept;

  [[nodiscard]] std::span<MissSlot> slots();
  [[nodiscard]] bool survives() const { return fd_ >= 0; }

  // Makes every entry of a dead edge `done`: open ones are marked as cut, damaged ones counted
  // under a reason of their own. Idempotent.
  void recover(int64_t now_us);
  // `into` gets `sum`'s numbers and `from` becomes free, both or neither.
  void merge(size_t into, size_t from, const Miss& sum);
  // Looking through all slots brings two megabytes of the file into this process; it needs the
  // pages of the slots in use only, and they come back by themselves.
  void release_pages();
  void remove();  // the file is needed no more
  // All entries go on in `fresh`, which must be a new file; this one is plain memory afterwards.
  void move_to(MissFile fresh);

 private:
  struct Layout;
  MissFile(std::filesystem::path path, int fd, Layout* layout);
  static Result<MissFile> make_in(const std::filesystem::path& folder, Kind kind);
  static Result<MissFile> take(const std::filesystem::path& path);
  void apply_merge();

  std::filesystem::path path_;
  int fd_ = -1;
  Layout* layout_ = nullptr;
};

}  // namespace hm::wire
