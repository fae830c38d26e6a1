#include "cli/period_flags.h"

#include "cli/client_env.h"
#include "cli/plain_words.h"
#include "cli/text.h"

namespace hm::cli {

std::expected<std::string, std::string> slug_of(const Flags& flags) {
  const auto text = flags.value("project");
  if (!text) return std::string();
  const auto slug = project_slug(*text);
  if (!slug) return std::unexpected("'" + printable(*text) + "' is no project slug");
  return *slug;
}

std::expected<ReportWish, std::string> wish_of(const Flags& flags, int64_t now_us) {
  ReportWish wish;
  const auto period = period_of({.since = flags.value("since"),
                                 .from = flags.value("from"),
                                 .to = flags.value("to"),
                                 .today = flags.has("today")},
                                now_us);
  if (!period) return std::unexpected(period.error());
  wish.period = *period;
  wish.run_id = flags.value_or("run", "");
  auto slug = slug_of(flags);
  if (!slug) return std::unexpected(slug.error());
  wish.project = std::move(*slug);
  return wish;
}

int cannot_read(const Context& context, std::string_view command, const Error& error) {
  *context.err << "halton-meter " << command << ": " << context.home.database().string()
               << " cannot be read: " << in_words(error) << "\nWhat to do: halton-meter doctor\n";
  // What the file system says is the surroundings' doing, as a folder in the database's place is.
  const bool surroundings = error.code == Code::permission || error.code == Code::system;
  return surroundings ? kEnvironment : kNotWell;
}

}  // namespace hm::cli
