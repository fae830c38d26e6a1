// How the database is, as words. Inside this folder only.
#pragma once

#include "common/base/result.h"
#include "interceptor/store/writer.h"

namespace hm::store {

[[nodiscard]] StoreState state_for(Code code);
[[nodiscard]] const char* words_for(StoreState state);  // for people; empty when it is well

}  // namespace hm::store
