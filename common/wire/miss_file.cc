#include "common/wire/miss_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "common/base/log.h"
#include "common/base/random_id.h"

namespace hm::wire {
namespace {

constexpr uint64_t kMagic = 0x3152474c'4d48;  // "HMLGR1"

std::string_view prefix(MissFile::Kind kind) {
  return kind == MissFile::Kind::edge ? "edge-ledger." : "daemon-ledger.";
}

constexpr std::string_view kBad = ".bad";
constexpr int64_t kMost = int64_t{1} << 50;      // more is no count
constexpr int64_t kMostTime = int64_t{1} << 52;  // nor a time: the year 2112

uint32_t checksum(const MissSlot& slot) {
  const auto* begin = reinterpret_cast<const unsigned char*>(&slot.origin);
  const auto* end = reinterpret_cast<const unsigned char*>(&slot.count);
  uint32_t hash = 2166136261U;  // FNV-1a: against damage, not against people
  for (; begin != end; ++begin) hash = (hash ^ *begin) * 16777619U;
  return hash;
}

template <size_t size>
void put(char (&to)[size], std::string_view text) {
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, size - length);
}

template <size_t size>
std::string get(const char (&from)[size]) {
  return {from, ::strnlen(from, size)};
}

int64_t sane(int64_t value, int64_t least, int64_t most = kMost) {
  return std::clamp(value, least, most);
}

// --- a mapped page is gone -----------------------------------------------------------------------

// The mapping that this process cannot do without; it has one.
std::atomic<char*> watched{nullptr};
std::atomic<size_t> watched_bytes{0};

void on_lost_page(int, siginfo_t* info, void*) {
  char* const base = watched.load();
  char* const at = static_cast<char*>(info->si_addr);
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  if (base != nullptr && at >= base && at < base + watched_bytes.load()) {
    char* const begin = base + (static_cast<size_t>(at - base) & ~(page - 1));
    if (::mmap(begin, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) != MAP_FAILED)
      return;
  }
  std::signal(SIGBUS, SIG_DFL);  // not ours: it happens again, and ends the process
}

void watch(void* base, size_t bytes) {
  struct sigaction action{};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(SIGBUS, &action, nullptr);
  watched_bytes.store(bytes);
  watched.store(static_cast<char*>(base));
}

}  // namespace

struct MissFile::Layout {
  uint64_t magic;
  // A merge under way: written whole before `merging` is set, applied again if the process died in
  // between.
  uint32_t merging;
  uint32_t into;
  uint32_t from;
  uint32_t unused_number;
  int64_t count, bytes_up, bytes_down, duration_us;
  char unused[4096 - 56];
  MissSlot slots[kSlots];
};

static_assert(std::is_trivially_copyable_v<MissSlot>);

// --- slots ---------------------------------------------------------------------------------------

void MissSlot::fill(const Miss& miss, State as) {
  set_state(free);
  origin = miss.origin;
  number = miss.number;
  at_us = miss.at_us;
  client_port = miss.client_port;
  put(host, miss.host);
  put(reason, miss.reason);
  put(call_id, miss.call_id);
  check = checksum(*this);
  offered = 0;
  cut = 0;
  set_numbers(miss);
  set_state(as);
}

void MissSlot::set_numbers(const Miss& miss) {
  count = miss.count;
  bytes_up = miss.bytes_up;
  bytes_down = miss.bytes_down;
  duration_us = miss.duration_us;
}

Miss MissSlot::miss() const {
  Miss miss;
  miss.origin = origin;
  miss.number = number;
  miss.at_us = sane(at_us, 0, kMostTime);
  miss.client_port = sane(client_port, 0);
  miss.host = get(host);
  miss.reason = get(reason);
  miss.call_id = get(call_id);
  miss.count = sane(count, 1);
  miss.bytes_up = sane(bytes_up, 0);
  miss.bytes_down = sane(bytes_down, 0);
  miss.duration_us = sane(duration_us, 0);
  if (miss.count > 1) {  // a sum is nobody's in particular
    miss.client_port = 0;
    miss.call_id.clear();
  }
  if (cut != 0) miss.detail = std::exchange(miss.reason, "edge_lost");
  return miss;
}

std::string MissSlot::call() const {
  return get(call_id);
}

bool MissSlot::whole() const {
  return check == checksum(*this) && host[sizeof host - 1] == 0 && reason[sizeof reason - 1] == 0 &&
         call_id[sizeof call_id - 1] == 0;
}

// --- the file ------------------------------------------------------------------------------------

MissFile::MissFile() {
  void* const memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  layout_ = static_cast<Layout*>(memory);
}

MissFile::MissFile(std::filesystem::path path, int fd, Layout* layout)
    : path_(std::move(path)), fd_(fd), layout_(layout) {}

MissFile::MissFile(MissFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      layout_(std::exchange(other.layout_, nullptr)) {}

MissFile& MissFile::operator=(MissFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(layout_, other.layout_);
  return *this;
}

MissFile::~MissFile() {
  if (layout_ != nullptr) {
    if (watched.load() == reinterpret_cast<char*>(layout_)) watched.store(nullptr);
    ::munmap(layout_, sizeof(Layout));
  }
  if (fd_ >= 0) ::close(fd_);  // and with it the lock
}

std::span<MissSlot> MissFile::slots() {
  return layout_->slots;
}

Result<MissFile> MissFile::take(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return fail(Code::system, "miss_file.open", errno);
  // From here on closing is the MissFile's business.
  MissFile file(path, fd, nullptr);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return fail(Code::busy, "miss_file.lock", errno);
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail(Code::system, "miss_file.stat", errno);
  if (info.st_nlink == 0) return fail(Code::not_found, "miss_file.taken");  // somebody was faster
  // Cut short or never finished: what is missing reads as free slots.
  if (const int error = ::posix_fallocate(fd, 0, sizeof(Layout)); error != 0)
    return fail(Code::exhausted, "miss_file.reserve", error);
  void* const memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail(Code::system, "miss_file.map", errno);
  file.layout_ = static_cast<Layout*>(memory);
  if (file.layout_->magic == 0) file.layout_->magic = kMagic;  // new, or its maker got no further
  if (file.layout_->magic != kMagic) return fail(Code::malformed, "miss_file.magic");
  return file;
}

Result<MissFile> MissFile::make(const Folders& folders, Kind kind) {
  Result<MissFile> made = fail(Code::not_found, "miss_file.folder");
  for (const std::filesystem::path& folder : folders) {
    auto attempt = make_in(folder, kind);
    if (attempt) return attempt;
    if (&folder == folders.data()) made = std::unexpected(attempt.error());  // of the usual place
  }
  return made;
}

Result<MissFile> MissFile::make_in(const std::filesystem::path& folder, Kind kind) {
  for (int attempt = 0;; ++attempt) {
    const std::filesystem::path path =
        folder / (std::string(prefix(kind)) + std::to_string(::getpid()) + "." +
                  random_hex_id().substr(0, 8));
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fail(Code::permission, "miss_file.make", errno);
    ::close(fd);
    auto file = take(path);
    // Busy or taken: another process looked for dead files just now.
    const bool again =
        !file && (file.error().code == Code::busy || file.error().code == Code::not_found);
    if (again && attempt < 3) continue;
    if (file)
      watch(file->layout_, sizeof(Layout));
    else
      ::unlink(path.c_str());
    return file;
  }
}

std::vector<MissFile> MissFile::take_dead(const Folders& folders, Kind kind, size_t most) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const std::filesystem::path& folder : folders) {
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.starts_with(prefix(kind)) && !name.ends_with(kBad)) paths.push_back(it->path());
    }
  }
  std::vector<MissFile> files;
  for (const auto& path : paths) {
    if (files.size() == most) break;
    auto file = take(path);
    if (file) {
      files.push_back(std::move(*file));
    } else if (file.error().code == Code::malformed) {
      log::error("ledger.unreadable").with("file", path.string()).with(file.error());
      std::filesystem::rename(path, path.string() + std::string(kBad), error);
    }
  }
  return files;
}

Result<MissFile> MissFile::take_or_make(const Folders& folders) {
  auto dead = take_dead(folders, Kind::edge, 1);
  if (dead.empty()) return make(folders, Kind::edge);
  watch(dead.front().layout_, sizeof(Layout));
  return std::move(dead.front());
}

void MissFile::recover(int64_t now_us) {
  apply_merge();
  for (MissSlot& slot : slots()) {
    if (slot.state == MissSlot::free) continue;
    const bool known = slot.state == MissSlot::open || slot.state == MissSlot::done;
    if (!known || !slot.whole()) {
      Miss lost;
      lost.origin = random_number();
      lost.number = 1;
      lost.at_us = now_us;
      lost.host = "unknown";
      lost.reason = "ledger_damaged";
      slot.fill(lost, MissSlot::done);
    } else if (slot.state == MissSlot::open) {
      slot.cut = 1;
      slot.set_state(MissSlot::done);
    }
  }
}

void MissFile::merge(size_t into, size_t from, const Miss& sum) {
  Layout& file = *layout_;
  file.into = static_cast<uint32_t>(into);
  file.from = static_cast<uint32_t>(from);
  file.count = sum.count;
  file.bytes_up = sum.bytes_up;
  file.bytes_down = sum.bytes_down;
  file.duration_us = sum.duration_us;
  std::atomic_ref(file.merging).store(1, std::memory_order_release);
  apply_merge();
}

void MissFile::apply_merge() {
  Layout& file = *layout_;
  if (std::atomic_ref(file.merging).load(std::memory_order_acquire) != 1) return;
  if (file.into < kSlots && file.from < kSlots && file.into != file.from) {
    Miss sum;
    sum.count = file.count;
    sum.bytes_up = file.bytes_up;
    sum.bytes_down = file.bytes_down;
    sum.duration_us = file.duration_us;
    file.slots[file.into].set_numbers(sum);
    file.slots[file.from].set_state(MissSlot::free);
  }
  std::atomic_ref(file.merging).store(0, std::memory_order_release);
}

void MissFile::move_to(MissFile fresh) {
  // Slot by slot, free ones untouched: 2 MiB of a file's fresh pages would be made on the loop.
  for (size_t i = 0; i < kSlots; ++i) {
    if (layout_->slots[i].state != MissSlot::free)
      std::memcpy(&fresh.layout_->slots[i], &layout_->slots[i], sizeof(MissSlot));
  }
  std::swap(*this, fresh);
}

void MissFile::release_pages() {
  // What is written stays in the file's pages. Plain memory would be lost.
  if (fd_ >= 0) static_cast<void>(::madvise(layout_, sizeof(Layout), MADV_DONTNEED));
}

void MissFile::remove() {
  if (fd_ >= 0) ::unlink(path_.c_str());
}

}  // namespace hm::wire
