"""Sends an AP-REQ made from the ticket cache (KRB5CCNAME), once or the same bytes twice over two connections, and
prints the status of each answer: kerberos_replay.py once|twice HOST ADDRESS PORT"""

import datetime
import os
import sys

from impacket.krb5 import constants
from impacket.krb5.asn1 import AP_REQ, TGS_REP, Authenticator, seq_set
from impacket.krb5.ccache import CCache
from impacket.krb5.types import KerberosTime, Principal, Ticket
from impacket.smb3structs import (
    SMB2_DIALECT_302,
    SMB2_NEGOTIATE,
    SMB2_SESSION_SETUP,
    SMB2Negotiate,
    SMB2Packet,
    SMB2SessionSetup,
)
from impacket.spnego import SPNEGO_NegTokenInit, TypesMech
from pyasn1.codec.der import decoder, encoder
from pyasn1.type.univ import noValue
from struct import pack, unpack
import socket


def ap_req(host):
    cache = CCache.loadFile(os.environ["KRB5CCNAME"].removeprefix("FILE:"))
    realm = cache.principal.realm["data"].decode()
    tgs = cache.getCredential(f"cifs/{host}@{realm}").toTGS()
    ticket = Ticket()
    ticket.from_asn1(decoder.decode(tgs["KDC_REP"], asn1Spec=TGS_REP())[0]["ticket"])
    user = Principal(cache.principal.components[0]["data"].decode(), type=constants.PrincipalNameType.NT_PRINCIPAL.value)

    request = AP_REQ()
    request["pvno"] = 5
    request["msg-type"] = int(constants.ApplicationTagNumbers.AP_REQ.value)
    request["ap-options"] = constants.encodeFlags([constants.APOptions.mutual_required.value])
    seq_set(request, "ticket", ticket.to_asn1)
    authenticator = Authenticator()
    authenticator["authenticator-vno"] = 5
    authenticator["crealm"] = realm
    seq_set(authenticator, "cname", user.components_to_asn1)
    now = datetime.datetime.now(datetime.timezone.utc)
    authenticator["cusec"] = now.microsecond
    authenticator["ctime"] = KerberosTime.to_asn1(now)
    authenticator["cksum"] = noValue
    authenticator["cksum"]["cksumtype"] = 0x8003
    # GSS_C_MUTUAL_FLAG, GSS_C_INTEG_FLAG
    authenticator["cksum"]["checksum"] = pack("<L", 16) + bytes(16) + pack("<L", 0x22)
    authenticator["seq-number"] = 0
    plain = encoder.encode(authenticator)
    request["authenticator"] = noValue
    request["authenticator"]["etype"] = tgs["cipher"].enctype
    request["authenticator"]["cipher"] = tgs["cipher"].encrypt(tgs["sessionKey"], 11, plain, None)

    token = SPNEGO_NegTokenInit()
    token["MechTypes"] = [TypesMech["MS KRB5 - Microsoft Kerberos 5"]]
    body = encoder.encode(request)
    inner = bytes.fromhex("06092a864886f712010202") + b"\x01\x00" + body
    token["MechToken"] = b"\x60\x82" + pack(">H", len(inner)) + inner
    return token.getData()


def exchange(sock, packet):
    data = packet.getData()
    sock.sendall(pack(">L", len(data)) + data)
    length = unpack(">L", sock.recv(4, socket.MSG_WAITALL))[0]
    return SMB2Packet(sock.recv(length, socket.MSG_WAITALL))


def show(address, token):
    with socket.create_connection(address, 20) as sock:
        negotiate = SMB2Negotiate()
        negotiate["SecurityMode"] = 1
        negotiate["Capabilities"] = 0
        negotiate["ClientGuid"] = b"replayed replay!"
        negotiate["Dialects"] = [SMB2_DIALECT_302]
        negotiate["DialectCount"] = 1
        packet = SMB2Packet()
        packet["Command"] = SMB2_NEGOTIATE
        packet["MessageID"] = 0
        packet["Data"] = negotiate
        exchange(sock, packet)
        setup = SMB2SessionSetup()
        setup["SecurityMode"] = 1
        setup["SecurityBufferLength"] = len(token)
        setup["Buffer"] = token
        packet = SMB2Packet()
        packet["Command"] = SMB2_SESSION_SETUP
        packet["MessageID"] = 1
        packet["CreditRequestResponse"] = 1
        packet["Data"] = setup
        return exchange(sock, packet)["Status"]


how, host, address, port = sys.argv[1:]
token = ap_req(host)
print("first", hex(show((address, int(port)), token)))
if how == "twice":
    print("second", hex(show((address, int(port)), token)))
