#include "cli/steps.h"

#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr size_t kTitleWidth = 22;

}  // namespace

void Steps::begin(std::string_view title) {
  ++number_;
  title_ = "[" + std::to_string(number_) + "/" + std::to_string(total_) + "] " + std::string(title);
  if (title_.size() < kTitleWidth) title_.append(kTitleWidth - title_.size(), ' ');
  if (context_.err_is_terminal) *context_.err << title_ << " ..." << std::flush;
}

void Steps::end(std::string_view mark, std::string_view sgr, std::string_view detail) {
  if (context_.err_is_terminal) *context_.err << "\r\x1b[K";
  *context_.err << title_ << ' ';
  if (context_.err_colour)
    *context_.err << "\x1b[" << sgr << 'm' << mark << "\x1b[0m";
  else
    *context_.err << mark;
  if (!detail.empty()) *context_.err << "  " << detail;
  *context_.err << std::endl;
}

void Steps::done(std::string_view detail) {
  end(context_.err_is_terminal ? "\u2713" : "ok", "32", detail);
}

void Steps::skipped(std::string_view detail) {
  end("-", "33", detail);
}

void Steps::failed(std::string_view finding, std::string_view next_action) {
  end(context_.err_is_terminal ? "\u2717" : "failed", "31", finding);
  if (!next_action.empty()) *context_.err << "What to do: " << next_action << std::endl;
}

void Steps::note(std::string_view line) {
  *context_.err << "      " << line << std::endl;
}

}  // namespace hm::cli
