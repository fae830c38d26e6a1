// What the edge and the interceptor say to each other on 127.0.0.1:8090, besides the CONNECT
// itself.
//
//   edge         CONNECT api.openai.com:443 HTTP/1.1 + Host + the three headers below
//   interceptor  HTTP/1.1 102 Processing      at once: "I have it" (the edge waits ask_limit_ms),
//                                             and the process id of who has it
//                HTTP/1.1 200 OK              the origin's TCP connection is open; bytes follow
//                HTTP/1.1 502 Bad Gateway     the origin cannot be reached, at least not from here:
//                (407: says its proxy)        the edge tries itself before it refuses the client
//                HTTP/1.1 503 ...             full or draining: the edge goes raw
//
// The headers end at the interceptor; nothing of them goes to an origin.
#pragma once

#include <string_view>

namespace hm::wire {

inline constexpr std::string_view kCallIdHeader = "X-Halton-Call";             // 32 hex digits
inline constexpr std::string_view kClientPortHeader = "X-Halton-Client-Port";  // decimal
inline constexpr std::string_view kEdgePortHeader = "X-Halton-Edge-Port";  // the port it came to

inline constexpr std::string_view kProcessHeader = "X-Halton-Process";  // decimal, of the 102

// Reserved names, answered by the interceptor itself (RFC 2606: .invalid resolves nowhere).
// Knock: 102, then 200 and close, when calls would be metered; 503 when they would not. The edge's
// health gate knocks on the same door that calls use.
inline constexpr std::string_view kKnockHost = "knock.halton-meter.invalid";
// Self-test: a whole call, answered by the interceptor's own origin, that must come back as a row.
inline constexpr std::string_view kSelfTestHost = "selftest.halton-meter.invalid";
inline constexpr std::string_view kSelfTestHeader = "X-Halton-Selftest";  // names the row
inline constexpr std::string_view kSelfTestProvider = "halton-meter";     // of that row, only

// First line of every control request: "hm/1 status". Answers are key=value lines.
inline constexpr std::string_view kControlVersion = "hm/1";

}  // namespace hm::wire
