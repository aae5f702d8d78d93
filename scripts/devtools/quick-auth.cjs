"use strict";
// Loaded into firebase-tools before it starts (`node --require`).
//
// The Auth emulator compiles a JSON Schema validator for every parameter of its API and, before
// each, compiles JSON Schema's own schema again, to check that Google's API description is well
// formed. That is some fifteen seconds of CPU at every start. Here a validator is compiled when it
// is first needed (an option of exegesis, its router), and the description, which is well formed
// and always the same, is not checked. What callers send is validated as before.
//
// Where the packages are laid out otherwise nothing changes but the time.

const resolve = (name, from) => require.resolve(name, { paths: [from] });

try {
  const express = resolve("exegesis-express", resolve("firebase-tools/package.json", __dirname));
  const router = require(express);
  const { middleware } = router;
  router.middleware = (api, options) =>
    middleware(api, { ...options, lazyCompileValidationSchemas: true });

  const { default: Ajv } = require(resolve("ajv", resolve("exegesis", express)));
  Ajv.prototype.validateSchema = () => true;
} catch (error) {
  console.error(`quick-auth: the Auth emulator starts slowly (${error.message.split("\n")[0]})`);
}
