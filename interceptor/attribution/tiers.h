// From facts about a client to its project. The first tier that has an answer wins; deterministic,
// never scored:
//
//   env            HALTON_PROJECT in the client's environment
//   rcfile         project = "slug" in the nearest .haltonrc, upward from the working folder
//   git            name of the nearest folder upward that holds .git
//   workdir        name of the working folder
//   smart_default  [tagging] default_project
//
// A malformed slug is no answer. Pure over FileView; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "interceptor/attribution/client_facts.h"
#include "interceptor/attribution/file_view.h"
#include "interceptor/call_record.h"

namespace hm::attribution {

struct TagConfig {
  std::string default_project = "misc";
  std::filesystem::path home;  // the user's; nothing above it is looked at. Empty: no such bound
};

[[nodiscard]] Attribution resolve(const ClientFacts& facts, const FileView& files,
                                  const TagConfig& config);

// When nothing is known about the client.
[[nodiscard]] Attribution unknown_client(const TagConfig& config);

// The project of a .haltonrc: lines `key = value`, value with or without quotes, # begins a
// comment, [sections] and unknown keys are skipped. Empty when there is none or it is malformed.
[[nodiscard]] std::optional<std::string> parse_rcfile(std::string_view text);

}  // namespace hm::attribution
