#include "common/wire/ledger_copy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace hm::wire {
namespace {

constexpr size_t kPage = LedgerLayout::kPage;
using Page = std::array<uint64_t, kPage / sizeof(uint64_t)>;

// 0 for a page of zeros, as a new file has them.
uint64_t print_of(const Page& page) {
  uint64_t hash = 0;
  for (const uint64_t word : page) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

bool read_page(int fd, size_t number, Page& page) {
  return ::pread(fd, page.data(), kPage, static_cast<off_t>(number * kPage)) ==
         static_cast<ssize_t>(kPage);
}

}  // namespace

LedgerCopy::LedgerCopy(Descriptor source, std::filesystem::path path)
    : source_(std::move(source)), path_(std::move(path)) {}

Result<void> LedgerCopy::open() {
  struct stat info{};
  if (file_.valid() && ::fstat(file_.get(), &info) == 0 && info.st_nlink > 0) return {};
  file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file_.valid()) return fail(Code::permission, "ledger_copy.open", errno);
  Descriptor file = std::move(file_);  // kept when all is well
  // Busy: somebody looks for what dead processes left. Next time.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::busy, "ledger_copy.lock", errno);
  if (::ftruncate(file.get(), sizeof(LedgerLayout)) != 0)
    return fail(Code::exhausted, "ledger_copy.size", errno);
  // It may be a former copy: what differs is replaced.
  for (size_t number = 0; number < kPages; ++number) {
    Page page;
    if (!read_page(file.get(), number, page)) return fail(Code::system, "ledger_copy.read", errno);
    written_[number] = print_of(page);
  }
  file_ = std::move(file);
  return {};
}

Result<uint32_t> LedgerCopy::merges() const {
  Page head;
  if (!read_page(source_.get(), 0, head)) return fail(Code::system, "ledger_copy.read", errno);
  const auto field = [&head](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, reinterpret_cast<const char*>(head.data()) + at, sizeof value);
    return value;
  };
  return field(offsetof(LedgerLayout, merges)) + field(offsetof(LedgerLayout, merging));
}

Result<void> LedgerCopy::copy_pages() {
  for (size_t number = 0; number < kPages; ++number) {
    Page page;
    if (!read_page(source_.get(), number, page))
      return fail(Code::system, "ledger_copy.read", errno);
    if (print_of(page) == written_[number]) continue;
    // The loop may be writing it just now: twice the same, then it is whole.
    Page again;
    for (int attempt = 0; attempt < 8; ++attempt) {
      if (!read_page(source_.get(), number, again))
        return fail(Code::system, "ledger_copy.read", errno);
      if (std::exchange(page, again) == again) break;
    }
    if (::pwrite(file_.get(), page.data(), kPage, static_cast<off_t>(number * kPage)) !=
        static_cast<ssize_t>(kPage)) {
      written_[number] = ~print_of(page);  // part of it may be there
      return fail(Code::exhausted, "ledger_copy.write", errno);
    }
    written_[number] = print_of(page);
  }
  return {};
}

Result<void> LedgerCopy::update() {
  if (!source_.valid()) return fail(Code::not_found, "ledger_copy.source");
  if (auto opened = open(); !opened) return opened;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto before = merges();
    if (!before) return std::unexpected(before.error());
    if (auto copied = copy_pages(); !copied) return copied;
    const auto after = merges();
    if (after && *after == *before) break;
  }
  return {};
}

void LedgerCopy::remove() {
  ::unlink(path_.c_str());
}

}  // namespace hm::wire
