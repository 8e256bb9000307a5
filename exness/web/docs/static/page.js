// Shows /openapi.json, or with ?fapi that of the Binance face, with Swagger UI. Requests go to where this page came from,
// whatever the document says its server is: the page may be read through a tunnel or below a prefix, and its policy lets
// it call no other origin.
"use strict";

fetch(location.search === "?fapi" ? "fapi/openapi.json" : "openapi.json")
  .then((response) => response.json())
  .then((spec) => {
    const here = new URL(".", document.baseURI).href.replace(/\/$/, "");
    spec.servers = [{ url: here }];
    SwaggerUIBundle({
      spec,
      dom_id: "#api",
      deepLinking: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  });
