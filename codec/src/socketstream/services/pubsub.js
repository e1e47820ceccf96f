function (service) {
  var listeners = {};
  service.onmessage = function (event) {
    (listeners['$' + event.e] || []).slice().forEach(function (listener) {
      listener(event.p);
    });
  };
  var api = {
    on: function (name, listener) {
      (listeners['$' + name] = listeners['$' + name] || []).push(listener);
      return api;
    },
    once: function (name, listener) {
      function first(list) {
        api.removeListener(name, first);
        listener(list);
      }
      return api.on(name, first);
    },
    removeListener: function (name, listener) {
      listeners['$' + name] = (listeners['$' + name] || []).filter(function (known) {
        return known !== listener;
      });
      return api;
    }
  };
  api.addListener = api.on;
  api.off = api.removeListener;
  return api;
}
