// The official client SDK under Node, against the emulators: one app for each scenario.
//
//   node client.mjs '{"project", "region", "functions", "auth", "firestore", "appCheck", "email",
//        "other", "password", "storage", "bucket"}' stream unary ...
//   node client.mjs '{"project", "url"}' silence characters ...
//
// `functions`, `auth` and `firestore` are host:port, as are `appCheck` and `storage`, stand-ins.
// `other` is another user's email. `url` is where tests/wire/functions is served. Prints one line
// of JSON: what came of each scenario, by its name.

import { getApps, initializeApp } from "firebase/app";
import { CustomProvider, initializeAppCheck } from "firebase/app-check";
import { connectAuthEmulator, getAuth, signInWithEmailAndPassword } from "firebase/auth";
import {
  collection,
  connectFirestoreEmulator,
  doc,
  getFirestore,
  onSnapshot,
} from "firebase/firestore";
import {
  connectFunctionsEmulator,
  getFunctions,
  httpsCallable,
  httpsCallableFromURL,
} from "firebase/functions";
import {
  connectStorageEmulator,
  deleteObject,
  getBytes,
  getDownloadURL,
  getMetadata,
  getStorage,
  listAll,
  ref,
  uploadBytes,
} from "firebase/storage";

const connected = new Set(); // the apps whose storage is the stand-in's
const address = JSON.parse(process.argv[2]);
const names = process.argv.slice(3);

const scenarios = {
  async stream() {
    return streamed(await callable("stream"), { feature: "chat", prompt: "Say hello." });
  },
  async unary() {
    return called(await callable("unary"), { feature: "chat", prompt: "Say hello." });
  },
  async refusedStream() {
    return streamed(await callable("refusedStream"), { feature: "no-such", prompt: "Hello" });
  },
  async refusedUnary() {
    return called(await callable("refusedUnary"), { feature: "no-such", prompt: "Hello" });
  },
  // Each field that an app may leave undefined, which the SDK sends as null
  async undefinedFields() {
    const prompt = { feature: "chat", prompt: "Say hello.", variables: { name: undefined } };
    for (const name of [
      ...["messages", "context", "model", "temperature", "temporary", "requestId", "tools"],
      ...["conversationId", "parentMessageId", "regenerate", "toolResults", "toolChoice"],
      ...["parallelToolCalls", "responseFormat", "partialJson", "attachments", "imageOptions"],
      ...["inlineImages", "resume"],
    ]) {
      prompt[name] = undefined;
    }
    const search = { search: undefined, capabilities: undefined, sort: undefined, pageSize: undefined };
    return {
      ...(await called(await callable("undefinedPrompt"), prompt)),
      models: await called(await callable("undefinedSearch", { of: "get_available_models" }), search),
    };
  },
  // A text that was cut in the middle of an emoji
  async halfEmoji() {
    const prompt = `Say ${"\u{1f600}".slice(0, 1)}!`;
    return called(await callable("halfEmoji"), { feature: "chat", prompt });
  },
  async cutStream() {
    return streamed(await callable("cutStream"), { feature: "js-cut", prompt: "Hello" });
  },
  async abort() {
    const leaving = new AbortController();
    const call = await callable("abort");
    const request = { feature: "js-slow", prompt: "Hello" };
    return streamed(call, request, { signal: leaving.signal }, () => leaving.abort());
  },
  async breakOut() {
    const call = await callable("breakOut");
    const { stream, data } = await call.stream({ feature: "js-slow", prompt: "Hello" });
    data.catch(() => {}); // an app that breaks out has no use for the result
    for await (const chunk of stream) {
      return { chunks: [chunk] };
    }
  },
  // Two apps of one user in one conversation: what one streams the other stops, tries to once
  // more, and then goes on from
  async stopFromAnother() {
    const asks = await callable("asks");
    const stop = await callable("stops", { of: "stop_generation" });
    const goesOn = await callable("goesOn");
    let generationId, stopping;
    const request = { feature: "js-drip", prompt: "Hello", conversationId: "new" };
    const seen = await streamed(asks, request, {}, (chunk) => {
      generationId ??= chunk.generationId;
      if (chunk.type === "text") {
        stopping ??= called(stop, { generationId });
      }
    });
    const { conversationId } = seen.data;
    const next = { feature: "chat", prompt: "And now?", conversationId };
    return {
      ...seen,
      stopped: await stopping,
      again: await called(stop, { generationId }),
      next: await called(goesOn, next),
    };
  },
  // The same with an app of the user's that looks on in Firestore, and one of somebody else's
  async watched() {
    const asks = await callable("watched");
    const stop = await callable("stopsWatched", { of: "stop_generation" });
    const mine = await watcher("watches");
    const theirs = await watcher("spies", address.other);
    const request = { feature: "js-drip", prompt: "Hello", conversationId: "new" };
    let streaming, conversationId, generationId;
    await new Promise((resolve) => {
      streaming = streamed(asks, request, {}, (chunk) => {
        conversationId ??= chunk.conversationId;
        generationId ??= chunk.generationId;
        if (chunk.type === "text") {
          resolve();
        }
      });
    });
    const path = `users/${mine.uid}/conversations/${conversationId}`;
    const seen = mine.watch(path);
    const spied = theirs.watch(path);
    const during = await seen.once(({ messages }) => messages.length === 1);
    const stopped = await called(stop, { generationId });
    const { data } = await streaming;
    const after = await seen.once(({ head, messages }) => {
      return messages.length === 2 && head?.leaf === data?.messageId;
    });
    await spied.once(({ errors }) => errors.length === 2);
    return { data, stopped, during, after, spied: spied.state };
  },
  async compare() {
    const compares = await callable("compares", { of: "execute_multi_model_prompt" });
    const models = ["sim/fast", "sim/cut-mid-stream"];
    return streamed(compares, { feature: "js-compare", prompt: "Hello", models });
  },
  // A file that one app uploads as docs/reference/create_upload.md says, and reads with the SDK
  async files() {
    const create = await callable("files", { of: "create_upload" });
    const text = "Some words of my own.";
    const { data } = await create({ contentType: "text/plain", bytes: text.length });
    const { uploadUrl, method, headers, path } = data;
    await fetch(uploadUrl, { method, headers, body: text });
    const mine = file("files", path);
    const theirs = file("filesOfAnother", path);
    await signIn(theirs.storage.app, address.other);
    const url = await getDownloadURL(mine);
    return {
      read: new TextDecoder().decode(await getBytes(mine)),
      metadata: await getMetadata(mine),
      byUrl: await (await fetch(url)).text(),
      byAnother: await refused(getBytes(theirs)),
      signedOut: await refused(getBytes(file("filesSignedOut", path))),
      uploaded: await refused(uploadBytes(mine, new TextEncoder().encode("other words"))),
      deleted: await refused(deleteObject(mine)),
      listed: await refused(listAll(mine.parent)),
      missing: await refused(getBytes(file("files", `${path}0`))),
    };
  },
  async withoutAppCheck() {
    return called(await callable("withoutAppCheck", { appCheck: false }), { feature: "chat" });
  },
  async withoutAppCheckStream() {
    const call = await callable("withoutAppCheckStream", { appCheck: false });
    return streamed(call, { feature: "chat" });
  },
  async signedOut() {
    return called(await callable("signedOut", { signedIn: false }), { feature: "chat" });
  },

  // Of tests/wire/functions
  async silence() {
    const hold = callableAt("silence", "beating/hold");
    const release = callableAt("release", "plain/release");
    return streamed(hold, { as: "js" }, {}, ({ n }) => {
      setTimeout(() => release({ as: `js-${n}` }), 350); // a few beats later
    });
  },
  async characters() {
    const texts = ["\u2028\u2029\u0085", '"\\\n\r\0', "\u{1f600}é", "data: {}\n\n"];
    const messages = texts.map((text) => ({ text }));
    return streamed(callableAt("characters", "plain/say"), { messages, result: { texts } });
  },
  async notANumber() {
    return streamed(callableAt("notANumber", "plain/nan"), null);
  },
  async megabytes() {
    const text = "x".repeat(3_000_000);
    const seen = await streamed(callableAt("megabytes", "plain/say"), {
      messages: [{ text }],
      result: {},
    });
    return { lengths: seen.chunks.map((chunk) => chunk.text.length), data: seen.data };
  },
};

function callableAt(name, path) {
  const app = initializeApp({ projectId: address.project, apiKey: "local", appId: "local" }, name);
  return httpsCallableFromURL(getFunctions(app), `${address.url}/${path}`);
}

/** Somebody who looks on in Firestore. */
async function watcher(name, email = address.email) {
  const app = newApp(name);
  const { user } = await signIn(app, email);
  const firestore = getFirestore(app);
  const [host, port] = address.firestore.split(":");
  connectFirestoreEmulator(firestore, host, Number(port));
  return { uid: user.uid, watch: (path) => watch(firestore, path) };
}

/** A conversation and its messages as they are told, and `once`: the state when it is so. */
function watch(firestore, path) {
  const state = { head: undefined, messages: [], errors: [] };
  const waiting = new Set();
  const look = () => waiting.forEach((check) => check());
  const failed = ({ code }) => look(state.errors.push(code));
  onSnapshot(doc(firestore, path), (found) => look((state.head = found.data())), failed);
  const messages = collection(firestore, `${path}/messages`);
  onSnapshot(
    messages,
    ({ docs }) => look((state.messages = docs.map((found) => ({ id: found.id, ...found.data() })))),
    failed,
  );
  const once = (isSo) =>
    new Promise((resolve) => {
      const check = () => {
        if (isSo(state)) {
          waiting.delete(check);
          resolve(structuredClone(state));
        }
      };
      waiting.add(check);
      check();
    });
  return { state, once };
}

/** A file, as the app of that name refers to it. */
function file(name, path) {
  const app = getApps().find((known) => known.name === name) ?? newApp(name);
  const storage = getStorage(app, `gs://${address.bucket}`);
  const [host, port] = address.storage.split(":");
  if (!connected.has(app)) {
    connectStorageEmulator(storage, host, Number(port));
    connected.add(app);
  }
  return ref(storage, path);
}

async function refused(call) {
  try {
    return { data: typeof (await call) };
  } catch (error) {
    return described(error);
  }
}

function newApp(name) {
  const options = { projectId: address.project, apiKey: "local", appId: "1:123456789012:web:demo" };
  return initializeApp(options, name);
}

async function signIn(app, email) {
  const auth = getAuth(app);
  connectAuthEmulator(auth, `http://${address.auth}`, { disableWarnings: true });
  return signInWithEmailAndPassword(auth, email, address.password);
}

/** A callable, as an app named after the scenario has it. */
async function callable(name, { appCheck = true, signedIn = true, of = "execute_prompt" } = {}) {
  const app = newApp(name);
  if (appCheck) {
    const provider = new CustomProvider({ getToken: appCheckToken });
    initializeAppCheck(app, { provider, isTokenAutoRefreshEnabled: false });
  }
  if (signedIn) {
    await signIn(app, address.email);
  }
  const functions = getFunctions(app, address.region);
  const [host, port] = address.functions.split(":");
  connectFunctionsEmulator(functions, host, Number(port));
  return httpsCallable(functions, of);
}

async function appCheckToken() {
  const response = await fetch(`http://${address.appCheck}/token`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  });
  return response.json();
}

async function called(call, request) {
  try {
    return { data: (await call(request)).data };
  } catch (error) {
    return { dataError: described(error) };
  }
}

/** Each chunk, how the stream ended and what became of `data`. */
async function streamed(call, request, options = {}, onChunk = () => {}) {
  const { stream, data } = await call.stream(request, options);
  const seen = { chunks: [] };
  const ended = data.then(
    (value) => (seen.data = value),
    (error) => (seen.dataError = described(error)),
  );
  try {
    for await (const chunk of stream) {
      seen.chunks.push(chunk);
      onChunk(chunk);
    }
  } catch (error) {
    seen.streamError = described(error);
  }
  await ended;
  return seen;
}

function described({ name, code, message, details }) {
  return { name, code, message, details };
}

const outcomes = {};
for (const name of names) {
  outcomes[name] = await scenarios[name]();
}
process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit(0)); // the SDK keeps timers
