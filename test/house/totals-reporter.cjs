// Prints Mocha's own report, then one line with the totals, which scripts read.
const Mocha = require('mocha')

module.exports = class TotalsReporter extends Mocha.reporters.Spec {
  epilogue() {
    super.epilogue()
    const { passes, failures } = this.stats
    Mocha.reporters.Base.consoleLog(`${passes} passed, ${failures} failed`)
  }
}
