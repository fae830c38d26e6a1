#include "interceptor/store/sqlite_setup.h"

#include <sqlite3.h>

namespace hm::store {

// Nobody asks how much memory SQLite has; to count it takes a lock for every piece. Refused where
// somebody else in the process has used SQLite before, and then it is slower, no more.
void set_up_sqlite() {
  static const int told = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(told);
}

}  // namespace hm::store
