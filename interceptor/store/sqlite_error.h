// What SQLite throws, as our errors. Inside this folder only.
#pragma once

#include <SQLiteCpp/Exception.h>

#include "common/base/result.h"

namespace hm::store {

// busy (somebody holds the lock), exhausted (disk full), permission (read only, not to be opened),
// malformed (damaged or no database), refused (a constraint, so the row is at fault),
// library (anything else, failed I/O too). detail: then SQLite's
// extended code.
[[nodiscard]] Error from_sqlite(const SQLite::Exception& exception, const char* where);

}  // namespace hm::store
