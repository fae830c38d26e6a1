// The output file of an OpenAI batch: one line per request, each with a whole answer inside, of
// whatever endpoint the batch was for. `providers.md` 5.1. A line is read by the shape of its
// answer; lines of other files have no usage at that place and leave no record.
#include <array>
#include <deque>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

struct Kind {
  std::string_view object;  // what the answer calls itself
  size_t reader;
  std::string_view endpoint;
  std::string_view request_kind;
};

constexpr std::array kKinds = {
    Kind{"chat.completion", 0, "chat.completions", "chat"},
    Kind{"text_completion", 0, "completions", "chat"},
    Kind{"response", 1, "responses", "chat"},
    Kind{"list", 2, "embeddings", "embedding"},
};

class OpenAiBatch final : public Shape {
 public:
  OpenAiBatch() {
    renew();
    // Own paths first; what a reader wants as well goes to both.
    for (const std::string_view path : kOwn) add(path, false);
    for (size_t reader = 0; reader < readers_.size(); ++reader) {
      const auto wanted = readers_[reader]->fields();
      for (size_t field = 0; field < wanted.size(); ++field) {
        const size_t place =
            add("response.body." + std::string(wanted[field].path), wanted[field].seen_only);
        targets_[place].push_back({reader, field});
      }
    }
  }

  std::span<const SkimPath> fields() const override { return paths_; }

  void on_value(size_t field, std::string_view json) override {
    if (field < kOwn.size()) Shape::on_value(field, json);
    for (const Target& target : targets_[field])
      readers_[target.reader]->on_value(target.field, json);
  }

  void on_seen(size_t field) override {
    for (const Target& target : targets_[field]) readers_[target.reader]->on_seen(target.field);
  }

  void on_document(std::string_view, Draft& draft) override {
    const std::string object = text(kObject);
    for (const Kind& kind : kKinds) {
      if (kind.object != object) continue;
      Draft line;
      readers_[kind.reader]->on_document({}, line);
      readers_[kind.reader]->finish(line);
      if (!line.usage_seen) break;
      line.endpoint = kind.endpoint;
      line.request_kind = kind.request_kind;
      // Embeddings have no id of their own; the line's tells a second download from a new call.
      if (line.response_id.empty()) line.response_id = clean_word(text(kId));
      line.record_ready = true;
      draft = std::move(line);
    }
    renew();
  }

 private:
  struct Target {
    size_t reader;
    size_t field;
  };
  enum : size_t { kObject, kId };
  static constexpr std::array<std::string_view, 2> kOwn = {"response.body.object", "id"};

  void renew() {
    readers_ = {make_openai_chat(false), make_openai_responses(), make_openai_embeddings()};
  }

  size_t add(std::string_view path, bool seen_only) {
    for (size_t i = 0; i < paths_.size(); ++i)
      if (paths_[i].path == path) return i;
    paths_.push_back({names_.emplace_back(path), seen_only});
    targets_.emplace_back();
    return paths_.size() - 1;
  }

  std::array<std::unique_ptr<Shape>, 3> readers_;
  std::deque<std::string> names_;  // never moved: paths_ looks at them
  std::vector<SkimPath> paths_;
  std::vector<std::vector<Target>> targets_;
};

}  // namespace

std::unique_ptr<Shape> make_openai_batch() {
  return std::make_unique<OpenAiBatch>();
}

}  // namespace hm::meter
