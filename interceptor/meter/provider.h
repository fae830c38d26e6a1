// A provider surface as data: which requests of one host are model calls, and how each is to be
// read. The tables are constexpr, one file per provider (anthropic.cc, openai.cc, ...); registry.cc
// expands common/wire/providers.inc. Everything here lives as long as the process and may be used
// from any thread. Source of the tables: the path tables of `providers.md`, sections 4 to 9.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hm::meter {

// The wire formats that a route can name; shape.h makes their readers.
enum class WireShape : uint8_t {
  anthropic_messages,
  anthropic_batch_results,
  openai_batch_results,
  openai_chat,  // chat completions and legacy completions
  openai_responses,
  openai_realtime,
  openai_embeddings,
  openai_images,
  openai_transcription,
  openai_speech,
  gemini_generate,
  gemini_embed,
  gemini_interactions,
  codeassist_generate,  // gemini_generate, one level deeper
};

enum class RouteUse : uint8_t {
  call,       // one record per exchange
  counting,   // a free count of tokens: a record with zeros and the counted figure
  retrieval,  // an answer seen again: a record only when it is complete (it updates the first one)
  batch,      // one record per succeeded line of the answer
  websocket,  // GET with an upgrade; one record per turn
  unmetered,  // a model call without figures: a MissRecord
};

struct Route {
  std::string_view method;
  // Whole path, without query. `*` is any run of characters but '/', `**` anything, `{model}` and
  // `{id}` a captured and non-empty `*`.
  std::string_view path;
  WireShape shape;
  std::string_view endpoint;  // stable name of the record
  RouteUse use = RouteUse::call;
  std::string_view request_kind = "chat";
  bool streams = false;  // the path itself asks for a stream
};

enum class BillingRule : uint8_t {
  api,
  subscription,
  // Subscription with a bearer token of a login (Anthropic's `sk-ant-oat`), else API (4.7).
  anthropic_login,
};

struct Provider {
  std::string_view name;            // of the surface: the name in providers.inc
  std::string_view id;              // of the record: anthropic, openai, gemini, xai
  std::string_view rate_namespace;  // whose rates apply
  std::span<const Route> routes;
  BillingRule billing = BillingRule::api;
  // Without a total, reasoning tokens of the chat shape are on top of the completion (9.1).
  bool additive_reasoning = false;
};

// Lower-case host without port, of the built-in ones (provider_registry.h has them all); null for
// hosts that are not metered.
[[nodiscard]] const Provider* provider_for_host(std::string_view host);
// By name in providers.inc, for hosts that the configuration adds.
[[nodiscard]] const Provider* provider_by_name(std::string_view name);
[[nodiscard]] std::span<const Provider* const> all_providers();

struct RouteMatch {
  const Route* route = nullptr;  // null: not a model call
  std::string model;             // percent-decoded captures, empty when the route has none
  std::string id;
};

// `target` as sent: origin or absolute form, with or without query. `upgrade` is whether the
// request asks for a WebSocket: then, and only then, websocket routes match.
[[nodiscard]] RouteMatch match_route(const Provider& provider, std::string_view method,
                                     std::string_view target, bool upgrade);

}  // namespace hm::meter
