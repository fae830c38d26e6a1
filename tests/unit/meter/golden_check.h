// Compares a record with the expected one of a golden case.
#pragma once

#include <rapidjson/document.h>

#include "interceptor/call_record.h"

namespace hm::test {

void check_record(const CallRecord& record, const rapidjson::Value& expected);

}  // namespace hm::test
