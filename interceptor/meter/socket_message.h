// The JSON messages of one direction of a socket, one at a time: the wanted paths of the message
// are kept until it is whole, since what says whose it is (`type`, ids) may stand behind the rest.
// Only these are kept, at most kMaxKept bytes in kMaxValues values; the message itself streams by.
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/meter/json_skim.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {

class SocketMessage final : private SkimEvents {
 public:
  static constexpr size_t kMaxKept = 512 * 1024;
  static constexpr size_t kMaxValues = 4096;

  explicit SocketMessage(std::span<const SkimPath> paths) : skim_(paths, *this) {}

  void begin();
  void feed(Bytes bytes);
  // Is what came since begin() exactly one JSON document?
  [[nodiscard]] bool end();

  // The last value at this path as JSON text; empty when there was none.
  [[nodiscard]] std::string_view field(size_t path) const;
  [[nodiscard]] std::string text(size_t path) const;  // of a string, else empty
  // Tells a shape all that was kept of its own paths, which are the first ones of the table, in
  // the order in which it came, and nothing else.
  void tell(Shape& shape) const;

 private:
  struct Told {
    size_t path = 0;
    bool seen_only = false;
    std::string json;
  };

  void on_value(size_t path, std::string_view json) override;
  void on_seen(size_t path) override;
  void on_skipped(size_t path) override;
  void on_document_end() override {}
  void keep(Told&& told);

  JsonSkim skim_;
  std::vector<Told> told_;
  size_t kept_ = 0;
};

}  // namespace hm::meter
