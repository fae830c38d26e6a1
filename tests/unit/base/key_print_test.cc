#include "common/base/key_print.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

using namespace hm;

namespace {

SipKey counting_key() {
  SipKey key{};
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  return key;
}

}  // namespace

TEST_CASE("SipHash gives the vectors of its paper", "[key_print]") {
  std::string text;
  const auto next = [&text](size_t length) {
    while (text.size() < length) text.push_back(static_cast<char>(text.size()));
    return siphash24(counting_key(), text);
  };
  CHECK(next(0) == 0x726fdb47dd0e0e31U);
  CHECK(next(1) == 0x74f839c593dc67fdU);
  CHECK(next(7) == 0xab0200f58b01d137U);
  CHECK(next(8) == 0x93f5f5799a932462U);
  CHECK(next(15) == 0xa129ca6149be45e5U);
}

TEST_CASE("a home has one secret, and prints tell keys apart", "[key_print]") {
  std::string folder = (std::filesystem::temp_directory_path() / "hm-print-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::filesystem::path file = std::filesystem::path(folder) / "home" / "key-print.secret";
  const auto first = KeyPrinter::load_or_create(file);
  const auto second = KeyPrinter::load_or_create(file);
  REQUIRE(first);
  REQUIRE(second);
  struct stat info{};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(info.st_size == 16);
  const std::string print = first->print("sk-one");
  CHECK(print.size() == 16);
  CHECK(print == second->print("sk-one"));
  CHECK(print != first->print("sk-two"));
  CHECK(print != KeyPrinter(counting_key()).print("sk-one"));
  CHECK(first->print("").empty());
  std::ofstream(file) << "short";
  CHECK_FALSE(KeyPrinter::load_or_create(file));
  std::filesystem::remove_all(folder);
}
