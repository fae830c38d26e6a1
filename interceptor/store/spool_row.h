// One row of the spool as bytes, and back. Rows of earlier and later versions are read as far as
// both know the fields. Pure.
#pragma once

#include <string>
#include <string_view>

#include "interceptor/call_record.h"
#include "interceptor/store/record_queue.h"

namespace hm::store {

[[nodiscard]] std::string spool_row(const CallRecord& record);
[[nodiscard]] std::string spool_row(const MissRecord& record);
[[nodiscard]] bool read_spool_row(std::string_view row, QueuedRows& out);  // false: not one

}  // namespace hm::store
