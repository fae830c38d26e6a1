// A streamed answer that arrives all at once at its end was held back by something on the way: the
// first byte takes as long as the whole call.
#include "cli/checks/check.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr int64_t kEnough = 3;  // streams; fewer may be chance

Finding run(const Patient& patient) {
  if (!patient.database) return skipped("there is no database to look at");
  const int64_t streams = patient.database->long_streams;
  const int64_t held = patient.database->held_streams;
  if (streams < kEnough) return skipped("too few long streams in 24 hours");
  const std::string text =
      thousands(held) + " of " + thousands(streams) + " long streams came all at once at their end";
  if (held * 2 <= streams) return fine(text);
  const bool proxy = patient.settings.has_upstream_proxy;
  return {Severity::note,
          text + ": something between here and the provider collects whole answers" +
              (proxy ? " (the [upstream] proxy?)" : ""),
          proxy ? "ask whoever runs that proxy not to buffer text/event-stream"
                : "we pass bytes as they come; make the same call without us, and compare: "
                  "halton-meter stop"};
}

}  // namespace

const Check kBufferingCheck = {"buffering", "streams in time", run};

}  // namespace hm::cli
