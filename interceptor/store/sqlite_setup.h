// What SQLite is told once per process. Inside this folder only.
#pragma once

namespace hm::store {

// Before every connection is opened, from any thread.
void set_up_sqlite();

}  // namespace hm::store
