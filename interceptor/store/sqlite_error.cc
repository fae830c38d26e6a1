#include "interceptor/store/sqlite_error.h"

#include <sqlite3.h>

namespace hm::store {

Error from_sqlite(const SQLite::Exception& exception, const char* where) {
  Code code = Code::library;
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      code = Code::busy;
      break;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      code = Code::exhausted;
      break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      code = Code::permission;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      code = Code::malformed;
      break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      code = Code::refused;
      break;
    default:
      break;
  }
  // The library's number means something only where our word says too little. describe() would take
  // it for an errno elsewhere.
  if (code != Code::library) return {code, where};
  const int extended = exception.getExtendedErrorCode();
  return {code, where, extended > 0 ? extended : exception.getErrorCode()};
}

}  // namespace hm::store
