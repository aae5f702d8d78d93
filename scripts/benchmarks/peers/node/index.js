// The same relay as ../../baseline/main.py, as a callable of Firebase's own SDK for Node.
const { HttpsError, onCall } = require("firebase-functions/v2/https");
const { OpenAI } = require("openai");

let client;

function openRouter() {
  client ??= new OpenAI({
    apiKey: process.env.BENCH_KEY,
    baseURL: process.env.OPENROUTER_BASE_URL,
    maxRetries: 0,
  });
  return client;
}

exports.relay = onCall({ enforceAppCheck: true }, async (request, response) => {
  if (!request.auth) {
    throw new HttpsError("unauthenticated", "Please sign in.");
  }
  const chunks = await openRouter().chat.completions.create({ ...request.data, stream: true });
  let text = "";
  for await (const chunk of chunks) {
    const delta = chunk.choices[0]?.delta?.content;
    if (delta) {
      text += delta;
      response?.sendChunk({ type: "text", delta });
    }
  }
  return { text };
});
