// What firebase-tools reads from a source folder's functions.yaml when it deploys: one line of JSON.
//
//   node discover.cjs SOURCE PROJECT RUNTIME

const discovery = require("firebase-tools/lib/deploy/functions/runtimes/discovery");

discovery
  .detectFromYaml(...process.argv.slice(2))
  .then((build) => process.stdout.write(`${JSON.stringify(build.endpoints)}\n`));
