#include "interceptor/store/read_only.h"

#include <cstdint>
#include <string>
#include <system_error>

#include "interceptor/store/schema.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/sqlite_setup.h"

namespace hm::store {
namespace {

constexpr int kBusyMs = 500;

std::string percent_encoded(const std::string& path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      text += '%';
      text += kHex[static_cast<uint8_t>(c) >> 4];
      text += kHex[static_cast<uint8_t>(c) & 15];
    } else {
      text += c;
    }
  }
  return text;
}

Result<std::unique_ptr<SQLite::Database>> try_open(const std::string& name, int flags) {
  set_up_sqlite();
  try {
    auto db = std::make_unique<SQLite::Database>(
        name, SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX | flags, kBusyMs);
    db->exec("PRAGMA query_only = ON");
    if (db->execAndGet("PRAGMA application_id").getInt64() != kApplicationId)
      return fail(Code::malformed, "store.queries.open");
    return db;
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, "store.queries.open"));
  }
}

}  // namespace

Result<uintmax_t> size_of_database(const std::filesystem::path& path, const char* where) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    const Code code = code_of_errno(error.value());
    return code == Code::not_found ? fail(code, where) : fail(code, where, error.value());
  }
  if (size == 0) return fail(Code::not_found, where);
  return size;
}

Result<std::unique_ptr<SQLite::Database>> open_read_only(const std::filesystem::path& path) {
  if (const auto size = size_of_database(path, "store.queries.open"); !size)
    return std::unexpected(size.error());
  auto opened = try_open(path.string(), 0);
  if (opened || opened.error().code != Code::permission) return opened;
  // In a folder that we may not write, SQLite cannot make the -shm of a WAL database. Without a
  // -wal nobody is writing either, and the file can be read as it lies there.
  std::error_code error;
  const auto wal = std::filesystem::file_size(path.string() + "-wal", error);
  if (!error && wal > 0) return opened;
  return try_open(
      "file:" + percent_encoded(std::filesystem::absolute(path).string()) + "?immutable=1",
      SQLite::OPEN_URI);
}

}  // namespace hm::store
