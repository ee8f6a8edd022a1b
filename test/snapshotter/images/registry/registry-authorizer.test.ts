import assert from 'node:assert/strict'
import type { Agent } from 'undici'
import { AddressPolicy, createHttpAgent } from '../../../../fusefs/index.js'
import {
  type CredentialSource,
  RegistryAuthorizer,
} from '../../../../snapshotter/images/registry/index.js'
import { answer, FaultyServer } from '../../../fusefs/http/faulty-server.js'

const credentials: CredentialSource = {
  credentialFor: () => Promise.resolve({ kind: 'password', username: 'me', password: 'secret' }),
}

describe('RegistryAuthorizer', () => {
  let agent: Agent
  let tokens: FaultyServer
  beforeEach(async () => {
    agent = createHttpAgent({})
    tokens = await FaultyServer.start(answer(200, {}, '{"token":"t"}'))
  })
  afterEach(async () => {
    await agent.destroy()
    await tokens.stop()
  })

  const challenge = (registry: string): Promise<boolean> => {
    const authorizer = new RegistryAuthorizer({ credentials, dispatcher: agent })
    const url = new URL(`${registry}/v2/team/app/manifests/1`)
    return authorizer.challenge(url, `Bearer realm="${tokens.origin}/token",service="s"`)
  }

  it('sends no password to a token server without TLS of a registry with TLS', async () => {
    assert.equal(await challenge('https://registry.example'), false)
    assert.deepEqual(tokens.requests, [])
  })

  it('asks a token server without TLS of a registry without TLS', async () => {
    assert.equal(await challenge('http://127.0.0.1:1'), true)
    assert.match(tokens.requests[0]?.authorization ?? '', /^Basic /)
  })

  it('does not follow a token server that redirects', async () => {
    const elsewhere = await FaultyServer.start(answer(200, {}, '{"token":"t"}'))
    await tokens.stop()
    tokens = await FaultyServer.start(answer(307, { location: elsewhere.origin }))
    assert.equal(await challenge('http://127.0.0.1:1'), false)
    assert.deepEqual(elsewhere.requests, [])
    await elsewhere.stop()
  })

  it('asks no token server at an address that its connections may not lead to', async () => {
    await agent.destroy()
    agent = createHttpAgent({
      addresses: new AddressPolicy({ isNamed: () => false, remedy: 'name it' }),
    })
    await assert.rejects(challenge('http://registry.example'), {
      code: 'failed-precondition',
      message: /token server .* a loopback address/,
    })
    assert.deepEqual(tokens.requests, [])
  })

  it('asks without the password where that may not go', async () => {
    const mayCarryCredentials = (): boolean => false
    const authorizer = new RegistryAuthorizer({
      ...{ credentials, dispatcher: agent, mayCarryCredentials },
    })
    const url = new URL('http://127.0.0.1:1/v2/team/app/manifests/1')
    assert.equal(await authorizer.challenge(url, 'Basic realm="x"'), false)
    assert.ok(await authorizer.challenge(url, `Bearer realm="${tokens.origin}/token"`))
    assert.deepEqual(
      tokens.requests.map(({ authorization }) => authorization),
      [undefined],
    )
  })
})
