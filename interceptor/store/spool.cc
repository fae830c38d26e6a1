#include "interceptor/store/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/fnv.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "interceptor/store/spool_row.h"

namespace hm::store {
namespace {

constexpr std::string_view kMagic = "HMSPOOL3";
// Of earlier versions: rows without a head, and without a generation in their checksums.
constexpr std::string_view kEarlier[] = {"HMSPOOL1", "HMSPOOL2"};
constexpr std::string_view kSuffix = ".spool";
constexpr int64_t kHead = 32;  // magic, generation, read position, spare
constexpr int64_t kRowHead = 8;
constexpr uint32_t kMaxRow = 4 * 1024 * 1024;
constexpr int64_t kReadSize = 1024 * 1024;

uint32_t checksum(uint64_t generation, std::string_view bytes) {
  return fnv1a_32(bytes, fnv1a_32({}) ^ static_cast<uint32_t>(generation));
}

template <class Number>
void put(std::string& out, Number value) {
  for (size_t shift = 0; shift < 8 * sizeof value; shift += 8)
    out.push_back(static_cast<char>(value >> shift));
}

template <class Number>
Number get(std::string_view bytes) {
  Number value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value |= static_cast<Number>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

// To save room; a file that stays longer than it need be is read all the same.
void cut(int fd, int64_t length) {
  if (::ftruncate(fd, length) != 0) log::debug("store.spool_not_cut").with("detail", errno);
}

Result<void> write_all(int fd, std::string_view bytes, int64_t at) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(code_of_errno(errno), "spool.write", errno);
    bytes.remove_prefix(static_cast<size_t>(wrote));
    at += wrote;
  }
  return {};
}

Result<std::string> read_at(int fd, int64_t at, int64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got =
        ::pread(fd, bytes.data() + have, bytes.size() - have, at + static_cast<int64_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Code::system, "spool.read", errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == kSuffix) paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

Spool::Spool(std::filesystem::path path, int fd, SpoolLimits limits)
    : path_(std::move(path)), fd_(fd), limits_(limits), read_at_(kHead), write_at_(kHead) {}

Spool::~Spool() {
  ::close(fd_);  // and with it the lock
}

Result<std::unique_ptr<Spool>> Spool::make(const std::filesystem::path& folder, int64_t wall_us,
                                           SpoolLimits limits) {
  if (auto made = ensure_dir(folder); !made) return std::unexpected(made.error());
  for (int attempt = 0;; ++attempt) {
    const auto path = folder / ("rows-" + std::to_string(wall_us + attempt) + "-" +
                                std::to_string(::getpid()) + std::string(kSuffix));
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST && attempt < 100) continue;
    if (fd < 0) return fail(code_of_errno(errno), "spool.make", errno);
    std::unique_ptr<Spool> spool(new Spool(path, fd, limits));
    // Between the two calls another process may have taken it for a dead one's.
    const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (taken || !spool->linked()) {
      if (attempt < 100) continue;
      return fail(Code::busy, "spool.lock");
    }
    if (::posix_fallocate(fd, 0, limits.reserved) != 0) cut(fd, 0);
    if (auto written = spool->write_head(); !written) {
      spool->remove();
      return std::unexpected(written.error());
    }
    return spool;
  }
}

// Null: somebody's, or no spool file.
std::unique_ptr<Spool> Spool::take(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return nullptr;
  std::unique_ptr<Spool> spool(new Spool(path, fd, {}));
  struct stat info{};
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || !spool->linked() || ::fstat(fd, &info) != 0)
    return nullptr;
  const auto head = read_at(fd, 0, kHead);
  if (!head) return nullptr;
  if (info.st_size == 0 || head->find_first_not_of('\0') == std::string::npos) {
    spool->remove();  // its process got no further
    return nullptr;
  }
  for (const std::string_view magic : kEarlier) {
    if (!head->starts_with(magic)) continue;
    spool->generation_ = 0;
    spool->read_at_ = static_cast<int64_t>(magic.size());
    spool->write_at_ = info.st_size;
    spool->ours_ = false;
    spool->has_head_ = false;
    return spool;
  }
  const int64_t read_position =
      head->size() == kHead ? get<int64_t>(std::string_view(*head).substr(16)) : 0;
  if (!head->starts_with(kMagic) || read_position < kHead || read_position > info.st_size) {
    log::error("store.spool_unreadable").with("file", path.string());
    spool->give_up();
    return nullptr;
  }
  spool->generation_ = get<uint64_t>(std::string_view(*head).substr(8));
  spool->read_at_ = read_position;
  spool->write_at_ = info.st_size;
  spool->ours_ = false;
  return spool;
}

std::vector<std::unique_ptr<Spool>> Spool::take_dead(const std::filesystem::path& folder) {
  std::vector<std::unique_ptr<Spool>> files;
  for (const auto& path : files_in(folder)) {
    if (auto spool = take(path)) files.push_back(std::move(spool));
  }
  return files;
}

Result<std::unique_ptr<Spool>> Spool::take_or_make(const std::filesystem::path& folder,
                                                   int64_t wall_us, SpoolLimits limits) {
  for (const auto& path : files_in(folder)) {
    auto spool = take(path);
    if (spool != nullptr && spool->go_on(limits)) return spool;
  }
  return make(folder, wall_us, limits);
}

// False: it is damaged, and whoever empties it will say so.
bool Spool::go_on(SpoolLimits limits) {
  if (!has_head_) return false;
  int64_t end = read_at_;
  int64_t rows = 0;
  while (true) {
    const auto chunk = read_from(end, write_at_, generation_, 1000);
    if (!chunk || chunk->damaged) return false;
    if (chunk->rows.rows() == 0) break;
    end = chunk->end;
    rows += static_cast<int64_t>(chunk->rows.rows());
  }
  if (end > limits.most) return false;
  static_cast<void>(::posix_fallocate(fd_, 0, limits.reserved));
  limits_ = limits;
  write_at_ = end;
  rows_ = rows;
  ours_ = true;
  if (rows_ == 0) begin_anew();
  return true;
}

Result<void> Spool::write_head() {
  std::string head(kMagic);
  put(head, generation_);
  put(head, static_cast<uint64_t>(read_at_));
  head.resize(kHead);
  if (read_at_ == write_at_) head.append(kRowHead, '\0');  // no row follows
  return write_all(fd_, head, 0);
}

Result<void> Spool::append(const QueuedRows& rows) {
  std::string bytes;
  const std::lock_guard lock(mutex_);
  if (given_up_) return fail(Code::malformed, "spool.append");
  const auto add = [&](const auto& record) {
    const std::string row = spool_row(record);
    put(bytes, static_cast<uint32_t>(row.size()));
    put(bytes, checksum(generation_, row));
    bytes += row;
  };
  for (const CallRecord& record : rows.calls) add(record);
  for (const MissRecord& record : rows.misses) add(record);
  const auto size = static_cast<int64_t>(bytes.size());
  if (write_at_ + size + kRowHead > limits_.most) return fail(Code::too_large, "spool.append");
  if (head_is_old_) {
    if (auto written = write_head(); !written) return written;
    head_is_old_ = false;
  }
  bytes.append(kRowHead, '\0');  // the end, until the next rows take its place
  if (auto written = write_all(fd_, bytes, write_at_); !written) {
    static_cast<void>(write_all(fd_, std::string(kRowHead, '\0'), write_at_));
    return written;
  }
  write_at_ += size;
  rows_ += static_cast<int64_t>(rows.rows());
  return {};
}

Result<Spool::Chunk> Spool::read(size_t most) {
  int64_t from = 0;
  int64_t to = 0;
  uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    from = read_at_;
    to = write_at_;
    generation = generation_;
  }
  return read_from(from, to, generation, most);
}

Result<Spool::Chunk> Spool::read_from(int64_t from, int64_t to, uint64_t generation,
                                      size_t most) const {
  Chunk chunk;
  chunk.end = from;
  auto bytes = read_at(fd_, from, std::min(to - from, kReadSize));
  if (!bytes) return std::unexpected(bytes.error());
  std::string_view rest = *bytes;
  while (chunk.rows.rows() < most && !rest.empty()) {
    chunk.damaged = true;                                     // until this row proves good
    if (static_cast<int64_t>(rest.size()) < kRowHead) break;  // behind the window, or cut
    const auto size = get<uint32_t>(rest);
    const auto sum = get<uint32_t>(rest.substr(4));
    if (size == 0 && sum == 0) {
      chunk.damaged = false;
      break;  // the end
    }
    if (size == 0 || size > kMaxRow || chunk.end + kRowHead + size > to) break;
    if (rest.size() - kRowHead < size) {  // goes on behind the window
      if (chunk.rows.rows() > 0) break;
      bytes = read_at(fd_, chunk.end, kRowHead + size);
      if (!bytes) return std::unexpected(bytes.error());
      rest = *bytes;
      if (static_cast<int64_t>(rest.size()) < kRowHead + size) break;
    }
    const std::string_view row = rest.substr(kRowHead, size);
    if (checksum(generation, row) != sum || !read_spool_row(row, chunk.rows)) break;
    chunk.damaged = false;
    chunk.end += kRowHead + size;
    rest.remove_prefix(kRowHead + size);
  }
  if (chunk.rows.rows() > 0) chunk.damaged = false;  // the next read tells
  return chunk;
}

void Spool::advance(const Chunk& chunk) {
  advance(chunk.end, chunk.rows.rows());
}

void Spool::advance(int64_t end, size_t rows) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return;
  read_at_ = end;
  rows_ -= static_cast<int64_t>(rows);
  if (ours_ && read_at_ == write_at_) {
    begin_anew();
  } else if (has_head_) {
    static_cast<void>(write_head());
  }
}

void Spool::begin_anew() {
  ++generation_;
  read_at_ = write_at_ = kHead;
  rows_ = 0;
  head_is_old_ = !write_head();
  struct stat info{};
  if (::fstat(fd_, &info) == 0 && info.st_size > limits_.reserved)
    cut(fd_, std::max(limits_.reserved, kHead + kRowHead));
}

bool Spool::empty() const {
  const std::lock_guard lock(mutex_);
  return read_at_ == write_at_;
}

int64_t Spool::end() const {
  const std::lock_guard lock(mutex_);
  return write_at_;
}

int64_t Spool::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

bool Spool::linked() const {
  struct stat info{};
  return ::fstat(fd_, &info) == 0 && info.st_nlink > 0;
}

void Spool::remove() {
  ::unlink(path_.c_str());
}

bool Spool::given_up() const {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

void Spool::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  read_at_ = write_at_;
  rows_ = 0;
  std::error_code ignored;
  std::filesystem::rename(path_, path_.string() + ".bad", ignored);
}

}  // namespace hm::store
