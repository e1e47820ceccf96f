function (service) {
  return function (method) {
    var list = Array.prototype.slice.call(arguments, 1);
    var done = typeof list[list.length - 1] === 'function' ? list.pop() : function () {};
    service.send({ m: method, p: list }, function (answer) {
      if (answer.e) {
        console.error(method + ' failed: ' + answer.e.message);
      } else {
        done.apply(null, answer.p);
      }
    });
  };
}
