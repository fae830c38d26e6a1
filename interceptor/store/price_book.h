// How stored costs came about, for people who ask. A read-only connection of its own, beside a
// running writer or with everything stopped; one per thread; calls block (disk).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "interceptor/store/queries.h"
#include "interceptor/store/stored_price.h"

namespace hm::store {

class PriceBook {
 public:
  // Errors as of Queries::open().
  [[nodiscard]] static Result<PriceBook> open(const std::filesystem::path& database);
  ~PriceBook();
  PriceBook(PriceBook&&) noexcept;
  PriceBook& operator=(PriceBook&&) noexcept;

  // Ids of the rows that `text` names: the row's own id, the provider's request or response id, or
  // else the beginning of the row's id. At most `limit`, newest first. A beginning
  // names no rows of the self-test, which no report shows either.
  [[nodiscard]] Result<std::vector<std::string>> find(const std::string& text, int64_t limit = 10);
  // How many rows have an id that begins like that.
  [[nodiscard]] Result<int64_t> beginning_with(const std::string& text);
  // not_found: there is no such row.
  [[nodiscard]] Result<ExplainedCall> explain(const std::string& id);
  [[nodiscard]] Result<PriceNotes> notes(const Filter& filter);

 private:
  struct Parts;
  explicit PriceBook(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::store
