// Sums of money in pico-USD. One call fits into 64 bits (9.2 million dollars), a sum of calls need
// not, so sums are kept in 128. Integers only; rounding happens where text is made and nowhere
// else.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace hm::pricing {

__extension__ using Int128 = __int128;

inline constexpr int64_t kPicoPerUsd = 1'000'000'000'000;
inline constexpr int64_t kPicoPerMillicent = 10'000'000;

class PicoUsd {
 public:
  constexpr PicoUsd() = default;
  constexpr explicit PicoUsd(Int128 pico) : pico_(pico) {}
  // pieces x unit + rest: how sums come out of SQLite without passing 64 bits.
  [[nodiscard]] static constexpr PicoUsd joined(int64_t pieces, int64_t unit, int64_t rest) {
    return PicoUsd(static_cast<Int128>(pieces) * unit + rest);
  }

  [[nodiscard]] constexpr Int128 value() const { return pico_; }
  [[nodiscard]] constexpr bool zero() const { return pico_ == 0; }
  constexpr PicoUsd& operator+=(PicoUsd other) {
    pico_ += other.pico_;
    return *this;
  }
  friend constexpr PicoUsd operator+(PicoUsd a, PicoUsd b) { return PicoUsd(a.pico_ + b.pico_); }
  friend constexpr PicoUsd operator-(PicoUsd a, PicoUsd b) { return PicoUsd(a.pico_ - b.pico_); }
  friend constexpr bool operator==(PicoUsd a, PicoUsd b) { return a.pico_ == b.pico_; }
  friend constexpr auto operator<=>(PicoUsd a, PicoUsd b) { return a.pico_ <=> b.pico_; }

  [[nodiscard]] std::string digits() const;         // "12207000000", exact
  [[nodiscard]] std::string exact_dollars() const;  // "0.012207", no trailing zeros, exact
  // For people: six decimals below one dollar, else two, rounded half up: "0.012207", "17.42". No
  // sign of the currency and no thousands separators.
  [[nodiscard]] std::string dollars() const;
  [[nodiscard]] Int128 millicents() const;  // 1 USD = 100,000; rounded half up

 private:
  Int128 pico_ = 0;
};

}  // namespace hm::pricing
