// OpenAI: api.openai.com. `providers.md` 5.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", WireShape::openai_chat, "chat.completions"},
    {"POST", "/v1/completions", WireShape::openai_chat, "completions"},
    {"POST", "/v1/responses", WireShape::openai_responses, "responses"},
    {"GET", "/v1/responses", WireShape::openai_responses, "responses", RouteUse::websocket},
    {"POST", "/v1/responses/compact", WireShape::openai_responses, "responses.compact"},
    {"POST", "/v1/responses/input_tokens", WireShape::openai_responses, "responses.input_tokens",
     RouteUse::counting},
    {"GET", "/v1/responses/{id}", WireShape::openai_responses, "responses", RouteUse::retrieval},
    // The output of a batch is a file; other files have no such lines and leave no record.
    {"GET", "/v1/files/*/content", WireShape::openai_batch_results, "batch_result",
     RouteUse::batch},
    // Ends a background answer and tells what it had used.
    {"POST", "/v1/responses/{id}/cancel", WireShape::openai_responses, "responses",
     RouteUse::retrieval},
    {"POST", "/v1/embeddings", WireShape::openai_embeddings, "embeddings", RouteUse::call,
     "embedding"},
    {"POST", "/v1/images/generations", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"POST", "/v1/images/edits", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"POST", "/v1/images/variations", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"POST", "/v1/audio/transcriptions", WireShape::openai_transcription, "audio.transcriptions",
     RouteUse::call, "audio"},
    {"POST", "/v1/audio/translations", WireShape::openai_transcription, "audio.transcriptions",
     RouteUse::call, "audio"},
    {"POST", "/v1/audio/speech", WireShape::openai_speech, "audio.speech", RouteUse::call, "audio"},
    // Free, and named by the response: a record with zeros.
    {"POST", "/v1/moderations", WireShape::openai_embeddings, "moderations", RouteUse::counting},
    {"GET", "/v1/realtime", WireShape::openai_realtime, "realtime", RouteUse::websocket, "audio"},
    {"POST", "/v1/videos", WireShape::openai_images, "videos", RouteUse::unmetered, "image"},
    {"POST", "/v1/videos/*/remix", WireShape::openai_images, "videos", RouteUse::unmetered,
     "image"},
};

}  // namespace

extern const Provider openai;
constexpr Provider openai{
    .name = "openai", .id = "openai", .rate_namespace = "openai", .routes = kRoutes};

}  // namespace hm::meter::providers
