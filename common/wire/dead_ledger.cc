#include "common/wire/dead_ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

#include "common/base/log.h"

namespace hm::wire {
namespace {

constexpr std::string_view kBad = ".bad";

// As much as there is, at most `size`; what is missing stays zero, which reads as free slots.
Result<void> read_all(int fd, void* to, size_t size) {
  char* at = static_cast<char*>(to);
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(fd, at + have, size - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Code::system, "dead_ledger.read", errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return {};
}

off_t place_of(size_t slot) {
  return static_cast<off_t>(offsetof(LedgerLayout, slots) + slot * sizeof(MissSlot));
}

}  // namespace

std::string_view ledger_prefix(LedgerKind kind) {
  return kind == LedgerKind::edge ? "edge-ledger." : "daemon-ledger.";
}

Result<DeadLedger> DeadLedger::take(const std::filesystem::path& path, bool in_memory,
                                    const LedgerFolders& folders) {
  DeadLedger left;
  left.path_ = path;
  left.in_memory_ = in_memory;
  left.file_ = Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!left.file_.valid()) return fail(Code::system, "dead_ledger.open", errno);
  if (::flock(left.file_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::busy, "dead_ledger.lock", errno);
  if (!in_memory) {
    for (const std::filesystem::path& folder : folders.memory)
      if (::access((folder / path.filename()).c_str(), F_OK) == 0)
        return fail(Code::busy, "dead_ledger.copy");
  } else if (!folders.disk.empty()) {
    left.copy_ = folders.disk.front() / path.filename();
  }
  // Asked last: copies are removed before what they are copies of.
  struct stat info{};
  if (::fstat(left.file_.get(), &info) != 0) return fail(Code::system, "dead_ledger.stat", errno);
  if (info.st_nlink == 0) return fail(Code::not_found, "dead_ledger.taken");
  if (auto read = left.read(); !read) return std::unexpected(read.error());
  return left;
}

Result<std::unique_ptr<LedgerLayout>> DeadLedger::layout() const {
  auto whole = std::make_unique<LedgerLayout>();
  if (auto got = read_all(file_.get(), whole.get(), sizeof(LedgerLayout)); !got)
    return std::unexpected(got.error());
  return whole;
}

Result<void> DeadLedger::read() {
  const auto read = layout();
  if (!read) return std::unexpected(read.error());
  LedgerLayout* const whole = read->get();
  // Zero: its maker got no further.
  if (whole->magic != LedgerLayout::kMagic && whole->magic != 0)
    return fail(Code::malformed, "dead_ledger.magic");
  whole->apply_merge();
  for (size_t slot = 0; slot < LedgerLayout::kSlots; ++slot) {
    if (whole->slots[slot].state == MissSlot::free) continue;
    slots_.push_back(whole->slots[slot]);
    places_.push_back(slot);
  }
  return {};
}

std::vector<DeadLedger> DeadLedger::find(const LedgerFolders& folders, LedgerKind kind,
                                         size_t most) {
  std::vector<std::pair<std::filesystem::path, bool>> paths;
  const auto look = [&](const Folders& list, bool in_memory) {
    for (const std::filesystem::path& folder : list) {
      std::error_code error;
      for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
           it.increment(error)) {
        const std::string name = it->path().filename().string();
        if (name.starts_with(ledger_prefix(kind)) && !name.ends_with(kBad))
          paths.emplace_back(it->path(), in_memory);
      }
    }
  };
  look(folders.memory, true);
  look(folders.disk, false);
  std::vector<DeadLedger> found;
  for (const auto& [path, in_memory] : paths) {
    if (found.size() == most) break;
    auto left = take(path, in_memory, folders);
    if (left) {
      found.push_back(std::move(*left));
    } else if (left.error().code == Code::malformed) {
      log::error("ledger.unreadable").with("file", path.string()).with(left.error());
      std::error_code error;
      std::filesystem::rename(path, path.string() + std::string(kBad), error);
    }
  }
  return found;
}

void DeadLedger::recover(int64_t now_us) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].recover(now_us)) continue;
    // Without it a damaged entry would get another name when the file is taken once more.
    if (::pwrite(file_.get(), &slots_[i], sizeof(MissSlot), place_of(places_[i])) < 0)
      log::warn("ledger.not_marked").with("file", path_.string()).with("detail", errno);
  }
}

void DeadLedger::remove() {
  if (!copy_.empty()) ::unlink(copy_.c_str());
  ::unlink(path_.c_str());
}

}  // namespace hm::wire
