#include "cli/table.h"

#include <catch2/catch.hpp>

#include "cli/text.h"

using namespace hm::cli;

namespace {

Table sample() {
  Table table(
      {{"model"}, {"calls", Align::right, 1}, {"cost", Align::right, 0}, {"p95", Align::right, 2}});
  table.add({"claude", "1,234", "$1.00", "9 ms"});
  table.add({"gpt", "5", "$12.00", "12 ms"});
  return table;
}

size_t widest_line(const std::string& text) {
  size_t widest = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    widest = std::max(widest, display_width(text.substr(at, end - at)));
    at = end + 1;
  }
  return widest;
}

}  // namespace

TEST_CASE("plain tables align by spaces alone") {
  CHECK(sample().text({}) ==
        "model   calls    cost    p95\n"
        "claude  1,234   $1.00   9 ms\n"
        "gpt         5  $12.00  12 ms\n");
}

TEST_CASE("boxed tables have a frame") {
  Table table({{"a"}, {"n", Align::right}});
  table.add({"x", "10"});
  CHECK(table.text({.boxed = true, .width = 80}) ==
        "┌───┬────┐\n│ a │  n │\n├───┼────┤\n│ x │ 10 │\n└───┴────┘\n");
}

TEST_CASE("narrow terminals lose the least important columns first") {
  CHECK(sample().text({.boxed = false, .width = 22}).find("p95") == std::string::npos);
  CHECK(sample().text({.boxed = false, .width = 22}).find("calls") != std::string::npos);
  const std::string narrow = sample().text({.boxed = false, .width = 15});
  CHECK(narrow.find("calls") == std::string::npos);
  CHECK(narrow.find("$12.00") != std::string::npos);
}

TEST_CASE("what cannot be dropped is cut") {
  Table table({{"component"}, {"state"}});
  table.add({"a-very-long-name-of-something", "healthy"});
  for (const bool boxed : {false, true}) {
    const std::string text = table.text({.boxed = boxed, .width = 30});
    CHECK(widest_line(text) <= 30);
    CHECK(text.find("healthy") != std::string::npos);
  }
}

TEST_CASE("a column that wraps goes on under itself, and below its row when there is no room") {
  Table table({{"part"}, {"detail", Align::left, 0, true}});
  table.add({"edge", "PID 10, 127.0.0.1:8081, open"});
  table.add({"database", "/home/alice/.halton-meter/db.sqlite"});
  CHECK(table.text({.boxed = false, .width = 36}) ==
        "part      detail\n"
        "edge      PID 10, 127.0.0.1:8081,\n"
        "          open\n"
        "database  /home/alice/.halton-meter/\n"
        "          db.sqlite\n");
  CHECK(table.text({.boxed = true, .width = 35}) ==
        "┌──────────┬──────────────────────┐\n"
        "│ part     │ detail               │\n"
        "├──────────┼──────────────────────┤\n"
        "│ edge     │ PID 10,              │\n"
        "│          │ 127.0.0.1:8081, open │\n"
        "│ database │ /home/alice/         │\n"
        "│          │ .halton-meter/       │\n"
        "│          │ db.sqlite            │\n"
        "└──────────┴──────────────────────┘\n");
  Table narrow({{"the component"}, {"state"}, {"detail", Align::left, 0, true}});
  narrow.add({"edge", "healthy", "PID 10, 127.0.0.1:8081"});
  CHECK(narrow.text({.boxed = false, .width = 30}) ==
        "the component  state\n"
        "edge           healthy\n"
        "  PID 10,\n"
        "  127.0.0.1:8081\n");
  CHECK(narrow.text({.boxed = true, .width = 30}) ==
        "┌───────────────┬─────────┐\n"
        "│ the component │ state   │\n"
        "├───────────────┼─────────┤\n"
        "│ edge          │ healthy │\n"
        "│   PID 10,               │\n"
        "│   127.0.0.1:8081        │\n"
        "└───────────────┴─────────┘\n");
}

TEST_CASE("cells cannot smuggle control characters") {
  Table table({{"model"}});
  table.add({"evil\x1b[2J"});
  CHECK(table.text({}).find('\x1b') == std::string::npos);
}

TEST_CASE("CSV has every column and CRLF line ends") {
  Table table({{"project"}, {"cost", Align::right, 9}});
  table.add({"a,b", "0.5"});
  CHECK(table.csv() == "project,cost\r\n\"a,b\",0.5\r\n");
}
