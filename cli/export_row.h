// One call as `export` writes it: a line of CSV or one JSON object on one line. Pure.
#pragma once

#include <string>

#include "interceptor/store/queries.h"

namespace hm::cli {

[[nodiscard]] std::string export_csv_header();  // the columns' names; a line end is included
[[nodiscard]] std::string export_csv(const store::RequestRow& row);
[[nodiscard]] std::string export_json(const store::RequestRow& row);

}  // namespace hm::cli
