#include "common/wire/miss_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <utility>

#include "common/base/random_id.h"
#include "common/wire/dead_ledger.h"
#include "common/wire/lost_page.h"

namespace hm::wire {

std::string MissFile::fresh_name(Kind kind) {
  return std::string(ledger_prefix(kind)) + std::to_string(::getpid()) + "." +
         random_hex_id().substr(0, 8);
}

MissFile::MissFile() : file_(::memfd_create("halton-ledger", MFD_CLOEXEC)) {
  if (file_.valid() && ::ftruncate(file_.get(), sizeof(LedgerLayout)) == 0 && map()) return;
  file_.reset();
  void* const memory = ::mmap(nullptr, sizeof(LedgerLayout), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  layout_ = static_cast<LedgerLayout*>(memory);
}

MissFile::MissFile(std::filesystem::path path, Descriptor file)
    : path_(std::move(path)), file_(std::move(file)) {}

MissFile::MissFile(MissFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      copy_(std::exchange(other.copy_, {})),
      file_(std::move(other.file_)),
      layout_(std::exchange(other.layout_, nullptr)),
      changes_(other.changes_) {}

MissFile& MissFile::operator=(MissFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(copy_, other.copy_);
  std::swap(file_, other.file_);
  std::swap(layout_, other.layout_);
  std::swap(changes_, other.changes_);
  return *this;
}

MissFile::~MissFile() {
  if (layout_ == nullptr) return;
  unwatch_pages(layout_);
  ::munmap(layout_, sizeof(LedgerLayout));
}

Result<void> MissFile::map() {
  // Also of one that was cut short: what is missing reads as free slots.
  if (const int error = survives() ? ::posix_fallocate(file_.get(), 0, sizeof(LedgerLayout)) : 0;
      error != 0)
    return fail(Code::exhausted, "miss_file.reserve", error);
  void* const memory =
      ::mmap(nullptr, sizeof(LedgerLayout), PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (memory == MAP_FAILED) return fail(Code::system, "miss_file.map", errno);
  layout_ = static_cast<LedgerLayout*>(memory);
  watch_pages(layout_, sizeof(LedgerLayout));
  layout_->magic = LedgerLayout::kMagic;
  return {};
}

Result<MissFile> MissFile::make(const LedgerFolders& folders, Kind kind) {
  Result<MissFile> made = fail(Code::not_found, "miss_file.no_folder_in_memory");
  for (const std::filesystem::path& folder : folders.memory) {
    made = make_in(folder, fresh_name(kind), nullptr);
    if (!made) continue;
    if (!folders.disk.empty()) made->copy_ = folders.disk.front() / made->path_.filename();
    break;
  }
  return made;
}

// It gets its name when it is locked and whole: nobody who looks for the files of the dead sees it
// before.
Result<MissFile> MissFile::make_in(const std::filesystem::path& folder, const std::string& name,
                                   const LedgerLayout* content) {
  MissFile file(folder / name,
                Descriptor(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
  if (!file.file_.valid()) return fail(Code::permission, "miss_file.make", errno);
  if (::flock(file.file_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::busy, "miss_file.lock", errno);
  if (auto mapped = file.map(); !mapped) return std::unexpected(mapped.error());
  if (content != nullptr) std::memcpy(file.layout_, content, sizeof(LedgerLayout));
  const std::string unnamed = "/proc/self/fd/" + std::to_string(file.file_.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, file.path_.c_str(), AT_SYMLINK_FOLLOW) != 0)
    return fail(Code::system, "miss_file.name", errno);
  return file;
}

Result<MissFile> MissFile::take_or_make(const LedgerFolders& folders) {
  auto dead = DeadLedger::find(folders, Kind::edge, 1);
  if (dead.empty()) return make(folders, Kind::edge);
  DeadLedger& left = dead.front();
  const std::string name = left.path().filename().string();
  Result<MissFile> file = fail(Code::not_found, "miss_file.no_folder_in_memory");
  if (left.in_memory()) {
    file = MissFile(left.path(), left.release());
    if (const auto mapped = file->map(); !mapped) file = std::unexpected(mapped.error());
  } else {
    // What is on the disk becomes the copy of a file of the same name in memory.
    const auto content = left.layout();
    for (const std::filesystem::path& folder : folders.memory) {
      file = make_in(folder, name, content ? content->get() : nullptr);
      if (file) break;
    }
  }
  if (file && !folders.disk.empty()) file->copy_ = folders.disk.front() / name;
  if (!file) return file;
  file->layout_->apply_merge();
  return file;
}

MissSlot& MissFile::change(size_t slot) {
  ++changes_;
  return layout_->slots[slot];
}

std::vector<size_t> MissFile::recover(int64_t now_us) {
  std::vector<size_t> used;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (layout_->slots[slot].state == MissSlot::free) continue;
    change(slot).recover(now_us);
    used.push_back(slot);
  }
  const auto place = [this](size_t slot) {
    const MissSlot& one = layout_->slots[slot];
    return std::tuple(one.offered == 0, one.at_us, one.number);
  };
  std::sort(used.begin(), used.end(), [&](size_t a, size_t b) { return place(a) < place(b); });
  return used;
}

void MissFile::merge(size_t into, size_t from) {
  ++changes_;
  Miss sum = layout_->slots[into].miss();
  const Miss more = layout_->slots[from].miss();
  sum.count += more.count;
  sum.bytes_up += more.bytes_up;
  sum.bytes_down += more.bytes_down;
  sum.duration_us += more.duration_us;
  layout_->merge(into, from, sum);
}

bool MissFile::sound() const {
  struct stat info{};
  return survives() && ::fstat(file_.get(), &info) == 0 && info.st_nlink > 0 &&
         info.st_size >= static_cast<off_t>(sizeof(LedgerLayout));
}

void MissFile::move_to(MissFile fresh) {
  // Slot by slot, free ones untouched: 2 MiB of a file's fresh pages would be made on the loop.
  for (size_t i = 0; i < kSlots; ++i) {
    if (layout_->slots[i].state != MissSlot::free)
      std::memcpy(&fresh.layout_->slots[i], &layout_->slots[i], sizeof(MissSlot));
  }
  fresh.changes_ = changes_ + 1;
  std::swap(*this, fresh);
  watch_pages(layout_, sizeof(LedgerLayout));
}

void MissFile::release_pages() {
  // What is written stays in the file's pages. Plain memory would be lost.
  if (file_.valid()) static_cast<void>(::madvise(layout_, sizeof(LedgerLayout), MADV_DONTNEED));
}

void MissFile::remove() {
  // The copy first: alone it would count.
  if (!copy_.empty()) ::unlink(copy_.c_str());
  if (survives()) ::unlink(path_.c_str());
}

Descriptor MissFile::contents() const {
  return Descriptor(file_.valid() ? ::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

}  // namespace hm::wire
