// One POST through the proxy of the environment: node call.js URL BODY [HEADER...]
// Plain Node, no packages: CONNECT by hand, then https over that socket. Trusts what
// NODE_EXTRA_CA_CERTS adds. Prints the answer as it comes.
'use strict';
const http = require('http');
const https = require('https');
const tls = require('tls');

const [url, body, ...more] = process.argv.slice(2);
const target = new URL(url);
const proxy = new URL(process.env.HTTPS_PROXY || process.env.https_proxy);
const headers = {
  'content-type': 'application/json',
  'content-length': Buffer.byteLength(body),
  authorization: 'Bearer sk-test-secret',
};
for (const line of more) {
  const at = line.indexOf(': ');
  headers[line.slice(0, at)] = line.slice(at + 2);
}

function fail(error) {
  console.error(String(error));
  process.exit(1);
}

const authority = `${target.hostname}:${target.port || 443}`;
const connect = http.request({
  host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: authority,
  headers: { host: authority },
});
connect.on('error', fail);
connect.on('connect', (answer, socket) => {
  if (answer.statusCode !== 200) fail(`proxy said ${answer.statusCode}`);
  const secure = tls.connect({ socket, servername: target.hostname, ALPNProtocols: ['http/1.1'] });
  secure.on('error', fail);
  const call = https.request({
    createConnection: () => secure, host: target.hostname, method: 'POST',
    path: target.pathname + target.search, headers,
  }, (response) => {
    if (response.statusCode !== 200) process.exitCode = 22;
    response.pipe(process.stdout);
    response.on('end', () => secure.end());
  });
  call.on('error', fail);
  call.end(body);
});
connect.end();
