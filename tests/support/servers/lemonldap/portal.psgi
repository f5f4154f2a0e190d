# The portal, and what MCP clients need beside it. As it ships (2.16), hardly one of them signs in:
#   RFC 8414's place answers 200 with another JSON object; here it has the metadata
#   every client gets a secret, `client_id_issued_at` is a string and `logo_uri` null; here `none` is a public client
#   an id or secret with `/` fails in HTTP Basic, which is percent-encoded (RFC 6749, 2.3.1); here there is none
use strict;
use JSON::PP;
use Lemonldap::NG::Portal::Main;

my $portal = Lemonldap::NG::Portal::Main->run( {} );

sub answer {
    my ($env) = @_;
    $env->{PATH_INFO} =~ s{^(/\.well-known)/oauth-authorization-server$}{$1/openid-configuration};
    $env->{REQUEST_URI} =~ s{^(/\.well-known)/oauth-authorization-server$}{$1/openid-configuration};
    return $portal->($env) unless $env->{PATH_INFO} eq '/oauth2/register';
    read $env->{'psgi.input'}, my $body, $env->{CONTENT_LENGTH};
    my ( $client, $asked ) = ( {}, decode_json($body) );
    until ( ( $client->{client_id} // '/' ) !~ m{/} && $client->{client_secret} !~ m{/} ) {
        open $env->{'psgi.input'}, '<', \$body;
        my $response = $portal->($env);
        return $response unless $response->[0] == 201;
        $client = decode_json( join '', @{ $response->[2] } );
    }
    delete $client->{logo_uri};
    $client->{client_id_issued_at} += 0;
    $client->{token_endpoint_auth_method} = $asked->{token_endpoint_auth_method} // 'client_secret_basic';
    if ( $client->{token_endpoint_auth_method} eq 'none' ) {
        make_public( $client->{client_id} );
        delete $client->{client_secret};
    }
    my $made = encode_json($client);
    return [ 201, [ 'Content-Type' => 'application/json', 'Content-Length' => length $made ], [$made] ];
}

sub make_public {
    my ($id) = @_;
    my ($newest) = sort { $b <=> $a } map { /lmConf-(\d+)/ } glob 'conf/lmConf-*.json';
    my $file = "conf/lmConf-$newest.json";
    open my $in, '<', $file or die $!;
    my $settings = decode_json( join '', <$in> );
    for ( values %{ $settings->{oidcRPMetaDataOptions} } ) {
        $_->{oidcRPMetaDataOptionsPublic} = 1 if $_->{oidcRPMetaDataOptionsClientID} eq $id;
    }
    open my $out, '>', $file or die $!;
    print $out encode_json($settings);
    close $out;
}

\&answer;
