// One plain and one streamed call with an official SDK through the proxy of the environment:
//   node sdk.js openai-chat|openai-responses|anthropic|genai|undici [h2]
// With h2 the proxy agent offers HTTP/2 to the origin.
// Prints what the SDK itself says was used, one JSON line per call.
'use strict';
const undici = require('undici');

const allowH2 = process.argv[3] === 'h2';
const dispatcher = new undici.ProxyAgent({
  uri: process.env.HTTPS_PROXY, allowH2, requestTls: { allowH2 },
});
const key = 'sk-test-secret';
const question = 'How many gulls sit on the pier?';
const say = (usage) => console.log(JSON.stringify(usage));

// A client of our own with undici's fetch: the answer's text is looked at by us.
async function withUndici() {
  for (const stream of [false, true]) {
    const answer = await undici.fetch('https://api.openai.com/v1/chat/completions', {
      dispatcher, method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model: 'gpt-5-mini', messages: [{ role: 'user', content: question }], stream,
        ...(stream && { stream_options: { include_usage: true } }),
      }),
    });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    const last = stream ? text.trimEnd().split('\n\n').at(-2).slice('data: '.length) : text;
    say(JSON.parse(last).usage);
  }
}

function openai() {
  const { OpenAI } = require('openai');
  return new OpenAI({ apiKey: key, fetch: undici.fetch, fetchOptions: { dispatcher } });
}

async function withOpenaiChat() {
  const client = openai();
  const call = { model: 'gpt-5-mini', messages: [{ role: 'user', content: question }] };
  say((await client.chat.completions.create(call)).usage);
  const stream = await client.chat.completions.create(
    { ...call, stream: true, stream_options: { include_usage: true } });
  let usage;
  for await (const chunk of stream) usage = chunk.usage ?? usage;
  say(usage);
}

async function withOpenaiResponses() {
  const client = openai();
  const call = { model: 'gpt-5-mini', input: question };
  say((await client.responses.create(call)).usage);
  let usage;
  for await (const event of await client.responses.create({ ...call, stream: true })) {
    if (event.type === 'response.completed') usage = event.response.usage;
  }
  say(usage);
}

async function withAnthropic() {
  const { Anthropic } = require('@anthropic-ai/sdk');
  const client = new Anthropic({ apiKey: key, fetch: undici.fetch, fetchOptions: { dispatcher } });
  const call = {
    model: 'claude-sonnet-4-5', max_tokens: 1000, messages: [{ role: 'user', content: question }],
  };
  say((await client.messages.create(call)).usage);
  say((await client.messages.stream(call).finalMessage()).usage);
}

async function withGenai() {
  undici.setGlobalDispatcher(dispatcher);  // this SDK has no place for a dispatcher of its own
  const { GoogleGenAI } = require('@google/genai');
  const client = new GoogleGenAI({ apiKey: key });
  const call = { model: 'gemini-2.5-flash', contents: question };
  say((await client.models.generateContent(call)).usageMetadata);
  let usage;
  for await (const chunk of await client.models.generateContentStream(call)) {
    usage = chunk.usageMetadata ?? usage;
  }
  say(usage);
}

const programs = {
  undici: withUndici, 'openai-chat': withOpenaiChat, 'openai-responses': withOpenaiResponses,
  anthropic: withAnthropic, genai: withGenai,
};
programs[process.argv[2]]().catch((error) => {
  console.error(error);
  process.exit(1);
});
