// What we advise must be accepted when it is typed: every command line in the texts of the CLI goes
// through the real table of commands and flags.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/text.h"

using namespace hm::cli;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sources(const char* folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(std::string(HM_SOURCE_DIR) + "/" + folder))
    if (entry.path().extension() == ".cc") files.push_back(entry.path());
  REQUIRE(files.size() > 20);
  return files;
}

std::string content(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The texts of a source file, those that stand one after the other as one.
std::vector<std::string> texts(const fs::path& file) {
  std::vector<std::string> found;
  const std::string source = std::regex_replace(content(file), std::regex("\"[ \n]+\""), "");
  const std::regex text(R"re("((?:[^"\\\n]|\\.)*)")re");
  for (std::sregex_iterator at(source.begin(), source.end(), text), end; at != end; ++at)
    found.push_back(std::regex_replace((*at)[1].str(), std::regex(R"(\\n)"), "\n"));
  return found;
}

// Empty: it would be run. Else why not.
std::string refused(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; in >> word;) words.push_back(word);
  if (words.size() < 2 || words[0] != "halton-meter") return "is no command line of ours";
  const Command* command = find_command(words[1]);
  if (command == nullptr) return "there is no command " + words[1];
  if (command->parsing == Command::Parsing::none) return {};
  const std::vector<std::string> rest(words.begin() + 2, words.end());
  const auto flags =
      parse_flags(command->flags, rest, command->parsing == Command::Parsing::until_operand);
  if (!flags) return flags.error();
  if (command->operands.empty() && !flags->operands().empty())
    return flags->operands()[0] + " is not understood";
  for (const std::string& word : flags->operands())
    if (word.ends_with(',') || word.starts_with('(')) return word + " is prose";
  return {};
}

// The command lines in "a && b; c", those of others left out.
std::vector<std::string> ours_in(const std::string& line) {
  std::vector<std::string> lines;
  const std::regex between(R"( && |; | \|\| )");
  for (std::sregex_token_iterator at(line.begin(), line.end(), between, -1), end; at != end; ++at)
    if (at->str().starts_with("halton-meter ")) lines.push_back(at->str());
  return lines;
}

void check_line(const std::string& line) {
  for (const std::string& one : ours_in(line)) {
    INFO(line << "\n" << refused(one));
    CHECK(refused(one).empty());
  }
}

}  // namespace

TEST_CASE("advice: the judge itself") {
  CHECK(refused("halton-meter init --apps").empty());
  CHECK(refused("halton-meter run -- TOOL").empty());
  CHECK(refused("halton-meter bodies purge --vacuum").empty());
  CHECK_FALSE(refused("halton-meter init, or init --apps").empty());
  CHECK_FALSE(refused("halton-meter restart, and keep a copy").empty());
  CHECK_FALSE(refused("halton-meter doctor --mend").empty());
  CHECK_FALSE(refused("halton-meter restart (takes another port)").empty());
  CHECK(ours_in("kill 7 && halton-meter init; halton-meter logs").size() == 2);
}

TEST_CASE("advice: a text that begins with our command is one, in whole") {
  size_t lines = 0;
  for (const char* folder : {"cli", "cli/checks"})
    for (const fs::path& file : sources(folder))
      for (std::string text : texts(file)) {
        INFO(file.filename().string());
        if (!text.starts_with("halton-meter ") || text == "halton-meter ") continue;
        if (std::regex_search(text, std::regex("^halton-meter [a-z]+: "))) continue;  // a message
        if (text.ends_with(' ')) text += "FILE";  // what follows is put in
        ++lines;
        check_line(text);
      }
  CHECK(lines > 40);
}

TEST_CASE("advice: what stands behind \"What to do:\" or a colon, and behind the and of others") {
  size_t lines = 0;
  const std::regex advice(
      R"((?:What to do: |, then: |with: |installation: | && )(halton-meter [^\n]*))");
  for (const char* folder : {"cli", "cli/checks"})
    for (const fs::path& file : sources(folder))
      for (const std::string& text : texts(file))
        for (std::sregex_iterator at(text.begin(), text.end(), advice), end; at != end; ++at) {
          INFO(file.filename().string());
          ++lines;
          check_line((*at)[1].str());
        }
  CHECK(lines > 10);
}

TEST_CASE("advice: in prose, and on the pages, commands and flags exist") {
  std::set<std::string> seen;
  const std::regex mention(R"(halton-meter ([a-z]+)((?: --[a-z-]+)*))");
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* folder : {"cli", "cli/checks", "edge"})
    if (const fs::path path = std::string(HM_SOURCE_DIR) + "/" + folder; fs::exists(path))
      for (const auto& entry : fs::directory_iterator(path))
        if (entry.path().extension() == ".cc")
          for (const std::string& text : texts(entry.path())) all.emplace_back(entry.path(), text);
  for (const auto& entry : fs::directory_iterator(std::string(HM_SOURCE_DIR) + "/docs")) {
    if (entry.path().extension() != ".md") continue;
    const std::string page = content(entry.path());
    const std::regex code("`(halton-meter [^`]*)`|\n    (halton-meter [^\n]*)");
    for (std::sregex_iterator at(page.begin(), page.end(), code), end; at != end; ++at)
      all.emplace_back(entry.path(), (*at)[1].str() + (*at)[2].str());
  }
  for (const auto& [file, text] : all)
    for (std::sregex_iterator at(text.begin(), text.end(), mention), end; at != end; ++at) {
      INFO(file << ": " << at->str());
      const Command* command = find_command((*at)[1].str());
      if ((*at)[1].str() == "itself") continue;  // the program, not a command
      CHECK(command != nullptr);
      if (command == nullptr) continue;
      seen.insert(std::string(command->name));
      if (command->parsing == Command::Parsing::none) continue;
      std::istringstream flags((*at)[2].str());
      for (std::string flag; flags >> flag;) {
        const auto with_value = parse_flags(command->flags, {flag + "=x"}, false);
        const auto bare = parse_flags(command->flags, {flag}, false);
        INFO(flag);
        CHECK((flag == "--" || bare || with_value));
      }
    }
  CHECK(seen.size() > 12);
}
